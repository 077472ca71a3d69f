"""Several processes that train one model: who writes, and how they agree."""

from __future__ import annotations

import tensorflow as tf

from kvae.fitting.replicas import add_up, on_workers


class Workers:
    """The workers of a strategy, as seen by one of them, which may be the only one.

    Args:
        strategy: of the model.

    Attributes:
        several: whether there are others.
        is_first: whether this is the one that writes files.
    """

    def __init__(self, strategy: tf.distribute.Strategy) -> None:
        self.several = on_workers(strategy)
        self.is_first = not self.several or strategy.extended.should_checkpoint
        self._strategy = strategy

    def any(self, *flags: bool) -> list[bool]:
        """Returns for each flag whether any worker has set it; waits for all workers."""
        if not self.several:
            return list(flags)
        totals = add_up(self._strategy, list(map(float, flags)))
        return [bool(total) for total in totals]

    def wait(self) -> None:
        """Waits until all workers are here."""
        self.any(False)
