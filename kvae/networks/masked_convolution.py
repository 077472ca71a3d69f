"""A convolution that sees only what comes before, in raster order."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_size
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class MaskedConvolution(keras.layers.Layer):
    """A convolution in which a position sees the rows above and the columns on its left.

        y[i, j] = bias + sum kernel[a, b] x[i - k/2 + a, j - k/2 + b],
                  over positions before (i, j), with `itself` also (i, j)

    Zeros are around the picture. Only the kernel's rows down to its middle are stored.

    Args:
        channels: of the result.
        kernel_size: k, odd.
        itself: whether a position sees itself.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `kernel_size` is even.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu 2016, arXiv:1601.06759, section 3.4:
        masks A (without `itself`) and B.
    """

    def __init__(
        self, channels: int, kernel_size: int = 5, itself: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.channels = check_size("channels", channels)
        self.kernel_size = check_size("kernel_size", kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(
                f"MaskedConvolution expects an odd kernel_size; received {kernel_size}."
            )
        self.itself = bool(itself)
        half = kernel_size // 2
        mask = np.ones((half + 1, kernel_size, 1, 1))
        mask[half, half + int(self.itself) :] = 0.0
        self._mask = mask

    @property
    def reach(self) -> int:
        """How many rows above, and columns on each side, a position sees."""
        return self.kernel_size // 2

    def build(self, x_shape: tuple[int | None, ...]) -> None:
        """Makes the kernel for maps of this many channels."""
        seen = self._mask.mean()
        self._kernel = self.add_weight(
            name="kernel",
            shape=(*self._mask.shape[:2], x_shape[-1], self.channels),
            # Of a share of the inputs, as the others are masked.
            initializer=keras.initializers.VarianceScaling(1.0 / seen, "fan_in"),
        )
        self._bias = self.add_weight(
            name="bias", shape=(self.channels,), initializer="zeros"
        )
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Maps (B, h, w, C) to (B, h, w, channels)."""
        kernel = self._kernel * tf.constant(self._mask, x.dtype)
        around = [[0, 0], [self.reach, 0], [self.reach, self.reach], [0, 0]]
        padded = tf.pad(x, around)
        return tf.nn.conv2d(padded, kernel, 1, "VALID") + self._bias

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, h, w, channels)."""
        return (*x_shape[:-1], self.channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "kernel_size": self.kernel_size,
            "itself": self.itself,
        }
