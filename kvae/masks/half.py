"""Masks of half an image."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.masks.base import MaskFamily, image_sides, over_channels

_SIDES = ("left", "right", "top", "bottom")


@keras.saving.register_keras_serializable(package="kvae")
class Half(MaskFamily):
    """Hides one half of each image, the smaller one if the side is odd.

    Args:
        hidden: "left", "right", "top", or "bottom".

    Raises:
        ValueError: if `hidden` is not one of these.
    """

    def __init__(self, hidden: str = "left") -> None:
        if not isinstance(hidden, str) or hidden not in _SIDES:
            raise ValueError(f"Half hides one of {_SIDES}; received {hidden!r}.")
        self.hidden = hidden

    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns 0, because the mask is always the same."""
        image_sides("Half", data_shape)
        return 0

    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks (B, *data_shape)."""
        height, width = image_sides("Half", data_shape)
        across = self.hidden in ("left", "right")
        side = width if across else height
        place = tf.range(side)
        first = self.hidden in ("left", "top")
        visible = place >= side // 2 if first else place < side - side // 2
        plane = visible[None, :] if across else visible[:, None]
        shape = tf.stack([tf.shape(uniforms)[0], height, width])
        return over_channels(tf.broadcast_to(plane, shape), data_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"hidden": self.hidden}
