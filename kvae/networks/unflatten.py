"""A reshape that phones run without leaving their fast path."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_data_shape
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class Unflatten(keras.layers.Layer):
    """Reshapes (B, ...) to (B, *shape).

    `keras.layers.Reshape` computes the batch size at run time, which LiteRT does outside
    its accelerated part; the literal -1 used here stays inside. The same is true of
    `keras.layers.Flatten`; `Unflatten((size,))` takes its place.

    Args:
        shape: the target shape without the batch.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = check_data_shape("Unflatten", shape, "shape")

    def call(self, x: Tensor) -> Tensor:
        """Returns x as (B, *shape)."""
        return tf.reshape(x, (-1, *self.shape))

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, *shape)."""
        return (x_shape[0], *self.shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "shape": self.shape}
