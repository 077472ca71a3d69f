"""Upsampling that phones run without leaving their fast path."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import MOST_LAYERS, check_size
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class DepthToSpace(keras.layers.Layer):
    """Moves channels into space: (B, H, W, C*r*r) to (B, H*r, W*r, C).

    Also known as pixel shuffle. Unlike `Conv2DTranspose` and `UpSampling2D` it converts
    to LiteRT with a free batch size and stays on the accelerated path there.

    Args:
        rate: r, the factor by which height and width grow.
        **kwargs: passed to `keras.layers.Layer`.

    Source: Shi et al. 2016, arXiv:1609.05158.
    """

    def __init__(self, rate: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = check_size("rate", rate, most=MOST_LAYERS)

    def call(self, x: Tensor) -> Tensor:
        """Returns x as (B, H*r, W*r, C)."""
        return tf.nn.depth_to_space(x, self.rate)

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, H*r, W*r, C)."""
        batch, height, width, channels = x_shape
        r = self.rate
        return (
            batch,
            None if height is None else height * r,
            None if width is None else width * r,
            None if channels is None else channels // (r * r),
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "rate": self.rate}
