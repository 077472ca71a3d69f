"""Crops images to size."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_size
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class Crop(keras.layers.Layer):
    """Keeps the top left `height` x `width` pixels of each image.

    Args:
        height: rows to keep.
        width: columns to keep.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.height = check_size("height", height)
        self.width = check_size("width", width)

    def call(self, x: Tensor) -> Tensor:
        """Cuts (B, H, W, C) to (B, height, width, C)."""
        return x[:, : self.height, : self.width, :]

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, height, width, C)."""
        return (x_shape[0], self.height, self.width, x_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "height": self.height, "width": self.width}
