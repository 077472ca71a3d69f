"""Masks that hide rectangles at random places."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.masks.base import MaskFamily, image_sides, over_channels


@keras.saving.register_keras_serializable(package="kvae")
class Rectangle(MaskFamily):
    """Hides a rectangle in each image. Its sides and its place are uniform.

    Args:
        least: the shortest side, as a fraction of the image's.
        most: the longest side, as a fraction of the image's. Below 1, something is
            always visible in images of more than one pixel.

    Raises:
        ValueError: unless 0 < least <= most <= 1.
    """

    def __init__(self, least: float = 0.25, most: float = 0.75) -> None:
        if not (is_number(least) and is_number(most) and 0 < least <= most <= 1):
            raise ValueError(
                "Rectangle expects 0 < least <= most <= 1, as fractions of a side; "
                f"received least={least!r}, most={most!r}."
            )
        self.least = least
        self.most = most

    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns 4: one each for height, width, row, and column."""
        image_sides("Rectangle", data_shape)
        return 4

    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks (B, *data_shape)."""
        height, width = image_sides("Rectangle", data_shape)
        rows = self._hidden(uniforms[:, 0], uniforms[:, 2], height)
        columns = self._hidden(uniforms[:, 1], uniforms[:, 3], width)
        return over_channels(~(rows[:, :, None] & columns[:, None, :]), data_shape)

    def _hidden(self, extent: Tensor, start: Tensor, side: int) -> Tensor:
        """Returns which of `side` places an interval of random length and place covers."""
        most = round(self.most * side)
        if self.most < 1:
            most = min(most, side - 1)
        most = max(1, most)
        least = min(most, max(1, round(self.least * side)))
        length = least + _whole(extent, most - least + 1)
        free = tf.cast(side - length + 1, tf.float32)
        first = tf.minimum(tf.cast(start * free, tf.int32), side - length)
        place = tf.range(side)[None, :]
        return (place >= first[:, None]) & (place < (first + length)[:, None])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"least": self.least, "most": self.most}


def _whole(uniform: Tensor, count: int) -> Tensor:
    """Maps uniform numbers in [0, 1] to integers 0 ... count - 1."""
    return tf.minimum(tf.cast(uniform * count, tf.int32), count - 1)
