"""The grid of levels that the likelihoods of 8-bit and other leveled data share."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_size, is_number
from kvae.core.types import Tensor
from kvae.maths import soft_lower_bound
from kvae.maths.discretized_logistic import nearest_level

_OFF_GRID = 0.01  # of a step; x / 255.0 in float32 is off by less than 0.0001
_MIN_LOG_SCALE = -7.0  # in half ranges, as in the published code of PixelCNN++


class LevelGrid:
    """Levels low, low + step, ..., high, and logistics over them.

    Raw outputs of a network become parameters in units of half the range around its
    middle, so that training does not depend on the units of the data.

    Args:
        owner: the likelihood, for messages.
        levels: the number of levels, at least 2.
        low: the lowest level.
        high: the highest level.

    Raises:
        ValueError: if there are not two levels.
    """

    def __init__(self, owner: Any, levels: int, low: float, high: float) -> None:
        title = type(owner).__name__
        check_size(f"levels of {title}", levels, 2)
        if not (is_number(low) and is_number(high) and low < high):
            raise ValueError(
                f"{title} expects finite numbers low < high; received {low!r}, {high!r}."
            )
        self.range: dict[str, Any] = {"low": low, "high": high, "levels": levels}
        self.support = (
            f"{levels} equally spaced levels from {low:g} to {high:g}, "
            f"{low:g} + i * {high - low:g} / {levels - 1}"
        )
        self.advice = (
            "Divide uint8 images by 255 in float32 (x / 255.0), or pass low=0, "
            "high=255 for undivided ones. Round images again after resizing or "
            "smoothing them."
        )

    @property
    def filler(self) -> float:
        """A value inside the support."""
        return self.range["low"]

    def parameters(
        self, loc: Tensor, log_scale: Tensor, dtype: str
    ) -> tuple[Tensor, Tensor]:
        """Turns raw outputs of a network into loc and scale in the units of x."""
        low, high = self.range["low"], self.range["high"]
        half = 0.5 * (high - low)
        loc = 0.5 * (high + low) + half * keras.ops.cast(loc, dtype)
        bent = soft_lower_bound(keras.ops.cast(log_scale, dtype), _MIN_LOG_SCALE)
        # Above exp(20) half ranges, the levels are a coin toss between the two ends.
        return loc, half * tf.exp(-soft_lower_bound(-bent, -20.0))

    def supports(self, x: Tensor) -> Tensor:
        """True where x is one of the levels, within rounding; NaN counts as one."""
        step = (self.range["high"] - self.range["low"]) / (self.range["levels"] - 1)
        gap = tf.abs(x - nearest_level(x, **self.range))
        return ~(gap > _OFF_GRID * step)
