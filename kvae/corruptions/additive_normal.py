"""Additive normal noise."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.corruptions.base import Corruption


@keras.saving.register_keras_serializable(package="kvae")
class AdditiveNormal(Corruption):
    """Adds independent normal noise to every entry.

        x~ = x + scale * epsilon,  epsilon from N(0, 1)

    Args:
        scale: standard deviation, in the units of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `scale` is negative.
    """

    def __init__(self, scale: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not (is_number(scale) and scale >= 0):
            raise ValueError(f"AdditiveNormal expects scale >= 0; received {scale!r}.")
        self.scale = scale

    def call(self, x: Tensor, key: Tensor) -> Tensor:
        """Adds the noise of this key to x (B, *data_shape)."""
        noise = tf.random.stateless_normal(tf.shape(x), key, dtype=x.dtype)
        return x + self.scale * noise

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}
