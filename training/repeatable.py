"""Batches whose order is a function of seed and epoch, so that they can be had again."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.training.errors import UserError
from kvae.types import Tensor


class RepeatableData:
    """The data of a fit, put where a run stopped.

    Arrays are batched here, in an order that depends on seed and epoch alone, where
    Keras would draw it from a state that is not saved. A `tf.data.Dataset` has its own
    order; it must be the same whenever it is read anew.

    Args:
        arguments: of `fit`, with the data checked.
        seed: of the order of arrays.
        first_batch: how many batches were taken from a data set that goes on from one
            epoch to the next, as it does with `steps_per_epoch`.

    Attributes:
        arguments: of `fit`, with the data replaced.
        draws: whether the batches that were taken in a begun epoch are still to be
            drawn from the iterator of that epoch.

    Raises:
        UserError: if the data cannot be had again.
    """

    def __init__(
        self, arguments: dict[str, Any], seed: int, first_batch: int = 0
    ) -> None:
        with tf.device("cpu"):
            self._epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.draws = True
        x = arguments.get("x")
        if isinstance(x, tf.data.Dataset):
            if arguments.get("steps_per_epoch"):
                endless = x if x.cardinality() == tf.data.INFINITE_CARDINALITY else None
                x = (x.repeat() if endless is None else x).skip(first_batch)
                self.draws = False
            self.arguments = {**arguments, "x": x}
        elif isinstance(x, keras.utils.PyDataset):
            self.arguments = arguments
        elif isinstance(x, dict) or hasattr(x, "__array__"):
            self.arguments = self._arrays(arguments, seed)
        else:
            raise UserError(
                f"a {type(x).__name__} cannot be read again from its start, so a run "
                "on it cannot be resumed; pass arrays or a tf.data.Dataset, such as "
                "kvae.training.training_batches."
            )

    def begin(self, epoch: int) -> None:
        """Chooses the order of an epoch, before its iterator is made."""
        self._epoch.assign(epoch)

    def _arrays(self, arguments: dict[str, Any], seed: int) -> dict[str, Any]:
        given = dict(arguments)
        parts = tuple(given.pop(name, None) for name in ("x", "y", "sample_weight"))
        data = parts if parts[2] is not None else parts[0]
        if split := given.pop("validation_split", 0.0):  # the last ones, as in Keras
            at = math.floor(len(keras.tree.flatten(data)[0]) * (1 - split))
            held = keras.tree.map_structure(lambda a: a[at:], data)
            data = keras.tree.map_structure(lambda a: a[:at], data)
            given.setdefault("validation_data", held)
        size = given.pop("batch_size", None) or 32  # Keras' own default
        given.setdefault("validation_batch_size", size)
        shuffle = bool(given.pop("shuffle", True))
        given |= {
            "x": _batches(data, size, seed, shuffle, self._epoch),
            "shuffle": False,
        }
        return given


def _batches(
    data: Any, batch_size: int, seed: int, shuffle: bool, epoch: tf.Variable
) -> tf.data.Dataset:
    count = len(keras.tree.flatten(data)[0])
    with tf.device("cpu"):  # the pipeline runs on the host, whatever trains
        tensors = keras.tree.map_structure(lambda a: tf.constant(np.asarray(a)), data)

    def batch_rows(_: Tensor) -> tf.data.Dataset:
        rows = tf.range(count)
        if shuffle:
            key = tf.stack([seed, tf.cast(epoch.read_value(), tf.int32)])
            rows = tf.random.experimental.stateless_shuffle(rows, key)
        return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)

    def batch(rows: Tensor) -> Any:
        return keras.tree.map_structure(lambda t: tf.gather(t, rows), tensors)

    rows = tf.data.Dataset.range(1).flat_map(batch_rows)
    batches = rows.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)
    return batches.apply(
        tf.data.experimental.assert_cardinality(math.ceil(count / batch_size))
    )
