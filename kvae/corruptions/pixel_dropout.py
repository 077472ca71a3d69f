"""Noise that blanks pixels."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_number
from kvae.core.types import Tensor
from kvae.corruptions.base import Corruption, uniform


@keras.saving.register_keras_serializable(package="kvae")
class PixelDropout(Corruption):
    """Blanks whole pixels, with all their channels. The others are not scaled up.

        x~[i] = value with probability rate, otherwise x[i]

    Examples that are not images (B, H, W, C) lose single entries.

    Args:
        rate: fraction of the pixels that are blanked, from 0 to 1.
        value: the value of blanked pixels, in the units of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `rate` is not in [0, 1].
    """

    def __init__(self, rate: float = 0.1, value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = self.check_rate(rate)
        self.value = check_number("value", value, -math.inf)

    def call(self, x: Tensor, key: Tensor) -> Tensor:
        """Blanks pixels of x (B, *data_shape), chosen by the key."""
        shape = tf.shape(x)
        if len(x.shape) == 4:
            shape = tf.concat([shape[:3], [1]], axis=0)
        dropped = uniform(shape, key) < self.rate
        return tf.where(dropped, tf.constant(self.value, x.dtype), x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate, "value": self.value}
