"""The data of a fit, repeatable from any position."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kvae.core.arrays import is_arrays
from kvae.core.errors import UserError
from kvae.core.types import Tensor
from kvae.fitting.array_batches import arrays_in_batches
from kvae.training.checkpoint.checkpoint_folder import Position


class RepeatableData:
    """The data of a fit, positioned where a run stopped.

    Arrays are batched here, in an order that depends on seed and epoch alone; Keras
    would draw it from a state that is not saved. A `tf.data.Dataset` has its own order;
    it must be the same whenever it is read again.

    Args:
        arguments: of `fit`, with the data checked.
        seed: of the order of arrays.
        per_execution: steps per execution of the model.
        batches_from: makes a data set that continues from one epoch to the next, from a
            given batch on.

    Attributes:
        draws: whether the batches already trained on in the current epoch must still be
            drawn from its iterator.

    Raises:
        UserError: if the data can't be read again.
    """

    def __init__(
        self,
        arguments: dict[str, Any],
        seed: int,
        per_execution: int,
        batches_from: Callable[[int], tf.data.Dataset] | None = None,
    ) -> None:
        with tf.device("cpu"):
            self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._first_epoch = arguments.get("initial_epoch") or 0
        self._per_execution = per_execution
        self._arguments = arguments
        self._endless = batches_from
        x = arguments.get("x")
        arrays = is_arrays(x)
        steps = arguments.get("steps_per_epoch")
        if batches_from is not None and not steps:
            raise UserError("batches_from needs steps_per_epoch; pass both.")
        if isinstance(x, tf.data.Dataset):
            if steps and batches_from is None:
                endless = x.cardinality() == tf.data.INFINITE_CARDINALITY
                self._endless = (x if endless else x.repeat()).skip
        elif not (arrays or isinstance(x, keras.utils.PyDataset)):
            raise UserError(
                f"a {type(x).__name__} can't be read again from its start, so a run on "
                "it can't be resumed; pass arrays or a tf.data.Dataset, such as "
                "kvae.training.training_batches."
            )
        elif steps and batches_from is None:
            raise UserError(
                "steps_per_epoch under a Checkpoint needs a tf.data.Dataset, because "
                f"Keras continues a {type(x).__name__} from one epoch to the next. "
                "Leave out steps_per_epoch, or pass kvae.training.training_batches."
            )
        elif arrays:
            self._arguments = arrays_in_batches(arguments, lambda: self._key(seed))
        self.draws = self._endless is None

    def begin(self, epoch: int) -> None:
        """Chooses the order of an epoch, before its iterator is made."""
        self._epoch.assign(epoch)

    def arguments_at(self, position: Position) -> dict[str, Any]:
        """The arguments of a `fit` that resumes from a position."""
        if self._endless is None:
            return self._arguments
        return {**self._arguments, "x": self._endless(self._taken(position))}

    def between(self, start: Position, end: Position) -> Iterator[Any]:
        """The batches between two positions; none for a `PyDataset`."""
        if self._endless is not None:
            first, last = self._taken(start), self._taken(end)
            yield from self._endless(first).take(last - first)
        elif isinstance(self._arguments["x"], tf.data.Dataset):
            for epoch in range(start.epoch, end.epoch + 1):
                self.begin(epoch)
                last = end.step if epoch == end.epoch else -1
                batches = self._arguments["x"].take(last)
                yield from batches.skip(start.step if epoch == start.epoch else 0)

    def _key(self, seed: int) -> Tensor:
        """The key of the order of the epoch that begins."""
        return tf.stack([seed, tf.cast(self._epoch.read_value(), tf.int32)])

    def _taken(self, position: Position) -> int:
        """Batches of an endless data set; the last execution of an epoch is whole."""
        executions = math.ceil(position.step / self._per_execution)
        per_epoch = math.ceil(self._arguments["steps_per_epoch"] / self._per_execution)
        executions += (position.epoch - self._first_epoch) * per_epoch
        return executions * self._per_execution
