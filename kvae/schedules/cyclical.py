"""A schedule that rises repeatedly."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_number, is_count, is_number
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class Cyclical(keras.optimizers.schedules.LearningRateSchedule):
    """Rises from `start` to `end` once per cycle, and stays there after the last cycle.

        position(t) = (t mod period) / period,  period = steps / cycles
        value(t)    = start + (end - start) * min(position / ramp, 1)   for t < steps

    Args:
        steps: training steps of all cycles together, at least `cycles`.
        cycles: number of cycles, at least 1.
        ramp: the part of a cycle in which the value rises, in (0, 1].
        start: value at the beginning of each cycle.
        end: value on the plateau of each cycle, and from step `steps` on.

    Raises:
        ValueError: if an argument is out of range.

    Source: Fu et al. 2019, "Cyclical annealing schedule", arXiv:1903.10145 (the paper
        uses four cycles and a ramp of one half).
    """

    def __init__(
        self,
        steps: int,
        cycles: int = 4,
        ramp: float = 0.5,
        start: float = 0.0,
        end: float = 1.0,
    ) -> None:
        if not is_count(cycles):
            raise ValueError(
                f"Cyclical expects cycles to be a positive integer; received {cycles!r}."
            )
        if not is_count(steps, cycles):
            raise ValueError(
                f"Cyclical expects steps to be an integer of at least cycles={cycles}; "
                f"received {steps!r}. Pass the steps of the whole run."
            )
        if not (is_number(ramp) and 0 < ramp <= 1):
            raise ValueError(f"Cyclical expects 0 < ramp <= 1; received {ramp!r}.")
        self.steps = steps
        self.cycles = cycles
        self.ramp = ramp
        self.start = check_number("start", start, -math.inf)
        self.end = check_number("end", end, -math.inf)

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the value at a step, a scalar float32."""
        # Integers first: a float32 quotient would miss the step at which a cycle begins.
        cycled = tf.cast(step, tf.int64) * self.cycles
        position = tf.cast(cycled % self.steps, tf.float32) / self.steps
        rise = tf.minimum(position / self.ramp, 1.0)
        rise = tf.where(cycled < self.steps * self.cycles, rise, 1.0)
        return self.start + (self.end - self.start) * rise

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "steps": self.steps,
            "cycles": self.cycles,
            "ramp": self.ramp,
            "start": self.start,
            "end": self.end,
        }
