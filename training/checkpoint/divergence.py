"""Stops a fit when its loss is no longer finite."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.errors import UserError


class Diverged(UserError):
    """The loss or the weights became NaN or infinite, or grew without bound."""


class StopOnDivergence(keras.callbacks.Callback):
    """Stops a fit whose loss is not a number, or has exploded.

        stop if not finite(loss), or loss - first > growth * max(|first|, 1)

    where `first` is the loss after the first step, and `loss` the mean over the epoch
    so far. Together with `Checkpoint`, the error names the step and the layer, and the
    model keeps the weights from before that step.

    Args:
        growth: by how many times its first value the loss may grow.

    Raises:
        ValueError: if `growth` is not positive.
    """

    saved_attributes = ("first",)

    def __init__(self, growth: float = 1000.0) -> None:
        super().__init__()
        if not growth > 0:
            raise ValueError(
                f"growth must be above 0, 1000 for example; received {growth!r}."
            )
        self.growth = growth
        self.first: float | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets an earlier fit."""
        self.first = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Looks at the loss.

        Raises:
            Diverged: if training has diverged.
        """
        loss = float((logs or {}).get("loss", 0.0))
        if self.is_bad(loss):
            raise Diverged(f"training diverged: the loss is {loss:g}. {ADVICE}")

    def is_bad(self, loss: float) -> bool:
        """Says whether training can't recover from a loss; notes the first one."""
        if not math.isfinite(loss):
            return True
        first = self.first = loss if self.first is None else self.first
        return loss - first > self.growth * max(abs(first), 1.0)


ADVICE = (
    "Lower the learning rate, clip gradients (clip_norm), or skip steps with "
    "gradients that are too large (max_gradient_norm)."
)
