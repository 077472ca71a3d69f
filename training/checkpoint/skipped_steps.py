"""Skips the batches that a run was already trained on."""

from __future__ import annotations

import math
from typing import Any


class SkippedSteps:
    """Replaces the train function of a model while its first steps are skipped.

    The batches keep their numbers, and other callbacks see them; nothing is computed.

    Args:
        model: in a fit.
        steps: how many, from the start of an epoch.
        draws: whether the batches must be drawn from the iterator.
    """

    def __init__(self, model: Any, steps: int, draws: bool) -> None:
        self._model = model
        self._left = math.ceil(steps / model.steps_per_execution)
        self._draws = draws
        self._logs = model.get_metrics_result()
        self._train_function = model.train_function
        model.train_function = self

    def __call__(self, iterator: Any) -> Any:
        """Skips the batches of one execution."""
        if self._draws:
            for _ in range(self._model.steps_per_execution):
                next(iterator, None)
        self._left -= 1
        if not self._left:
            self.stop()
        return self._logs

    def stop(self) -> None:
        """Restores Keras' train function."""
        if self._model.train_function is self:
            self._model.train_function = self._train_function
