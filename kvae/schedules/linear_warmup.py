"""A schedule that rises linearly."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_number, is_count
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class LinearWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """Goes from `start` to `end` linearly, then stays there.

        value(t) = start + (end - start) * min(t / steps, 1)

    Args:
        steps: training steps until `end` is reached, at least 1.
        start: value at step 0.
        end: value from step `steps` on.

    Raises:
        ValueError: if `steps` is not a positive integer.

    Source: Bowman et al. 2016, arXiv:1511.06349; linear: Sonderby et al. 2016,
        arXiv:1602.02282.
    """

    def __init__(self, steps: int, start: float = 0.0, end: float = 1.0) -> None:
        if not is_count(steps):
            raise ValueError(
                f"LinearWarmup expects steps to be a positive integer; received {steps!r}. "
                "A tenth of the run is usual."
            )
        self.steps = steps
        self.start = check_number("start", start, -math.inf)
        self.end = check_number("end", end, -math.inf)

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the value at a step, a scalar float32."""
        done = tf.minimum(tf.cast(step, tf.float32) / self.steps, 1.0)
        return self.start + (self.end - self.start) * done

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"steps": self.steps, "start": self.start, "end": self.end}
