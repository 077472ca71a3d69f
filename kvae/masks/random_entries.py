"""Masks that hide random entries."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.masks.base import MaskFamily, over_channels


@keras.saving.register_keras_serializable(package="kvae")
class RandomEntries(MaskFamily):
    """Hides entries independently of one another, with the same probability.

    The channels of a pixel (the last of three or more axes) are hidden together.

    Args:
        rate: probability that an entry is hidden. For a pair (low, high), each example
            draws its own rate, uniform between the two.

    Raises:
        ValueError: unless 0 <= rate <= 1 and low <= high.
    """

    def __init__(self, rate: float | tuple[float, float] = 0.5) -> None:
        pair = tuple(rate) if isinstance(rate, (tuple, list)) else (rate, rate)
        fits = len(pair) == 2 and all(map(is_number, pair))
        if not fits or not 0 <= pair[0] <= pair[1] <= 1:
            raise ValueError(
                "RandomEntries expects rate in [0, 1], or a pair (low, high) of rates; "
                f"received {rate!r}."
            )
        self.rate = tuple(rate) if isinstance(rate, list) else rate
        self._low, self._high = map(float, pair)

    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns one for each pixel or column, plus one for the rate."""
        return math.prod(_places(data_shape)) + 1

    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks (B, *data_shape)."""
        rate = self._low + (self._high - self._low) * uniforms[:, :1]
        visible = tf.cast(uniforms[:, 1:] >= rate, tf.float32)
        plane = tf.reshape(visible, (-1, *_places(data_shape)))
        return over_channels(plane, data_shape) if len(data_shape) > 2 else plane

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"rate": self.rate}


def _places(data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the axes along which entries are hidden independently."""
    return data_shape[: max(2, len(data_shape) - 1)]
