"""Masks of a stretch of a series, such as its future."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.masks.base import MaskFamily

_PLACES = ("end", "anywhere")


@keras.saving.register_keras_serializable(package="kvae")
class Stretch(MaskFamily):
    """Hides consecutive steps of a series, in all of its features.

    At the end, what is hidden is the future, and a completion is a forecast. At least
    one step is hidden, and at least one is visible.

    Args:
        share: of the steps that are hidden. For a pair (low, high), each example draws
            its own share, uniform between the two.
        place: "end", or "anywhere", where all places have the same probability.

    Raises:
        ValueError: unless 0 < low <= high < 1, or if the place is unknown.
    """

    def __init__(
        self, share: float | tuple[float, float] = 0.25, place: str = "end"
    ) -> None:
        pair = tuple(share) if isinstance(share, (tuple, list)) else (share, share)
        fits = len(pair) == 2 and all(map(is_number, pair))
        if not fits or not 0 < pair[0] <= pair[1] < 1:
            raise ValueError(
                "Stretch expects share between 0 and 1, or a pair (low, high) of "
                f"shares; received {share!r}."
            )
        if place not in _PLACES:
            raise ValueError(f"Stretch expects place in {_PLACES}; received {place!r}.")
        self.share = tuple(share) if isinstance(share, list) else share
        self.place = place
        self._low, self._high = map(float, pair)

    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns 2, for the share and the place."""
        if len(data_shape) not in (1, 2) or data_shape[0] < 2:
            raise ValueError(
                "Stretch hides steps of series, (T,) or (T, F) with at least 2 steps; "
                f"received examples of shape {tuple(data_shape)}."
            )
        return 2

    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks (B, *data_shape)."""
        steps = data_shape[0]
        share = self._low + (self._high - self._low) * uniforms[:, :1]
        length = tf.clip_by_value(tf.round(share * steps), 1.0, steps - 1.0)
        free = steps - length  # the last possible first step
        start = free
        if self.place == "anywhere":
            start = tf.minimum(tf.floor(uniforms[:, 1:] * (free + 1.0)), free)
        step = tf.range(steps, dtype=tf.float32)
        visible = tf.cast((step < start) | (step >= start + length), tf.float32)
        if len(data_shape) == 1:
            return visible
        return tf.repeat(visible[..., None], data_shape[1], axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"share": self.share, "place": self.place}
