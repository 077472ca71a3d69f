"""Arrays, put into batches for `fit`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.arrays import is_arrays
from kvae.core.types import Tensor


def batch_size(arguments: dict[str, Any]) -> int:
    """Examples per batch, where the data of a fit are arrays."""
    return arguments.get("batch_size") or 32  # Keras' own default


def in_batches(model: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Replaces the arrays among the arguments of `fit` by a data set of batches.

    Keras would make one too, but it lets TensorFlow tune how far to read ahead, and
    then some epochs take a quarter longer than others. On several replicas the arrays
    are left to Keras, which knows how to distribute them.

    Args:
        model: compiled and built.
        arguments: of `fit`, by name, with the data checked.

    Returns:
        arguments: for Keras' `fit`.
    """
    several = model.distribute_strategy.num_replicas_in_sync > 1
    shuffle = arguments.get("shuffle", True)  # "batch" too, as Keras does it
    if several or not is_arrays(arguments["x"]) or not isinstance(shuffle, bool):
        return arguments
    if arguments.get("steps_per_epoch"):  # Keras continues where the last epoch ended
        return arguments
    # From the global seed, as in Keras: keras.utils.set_random_seed repeats the order.
    seed = tf.random.uniform((), maxval=tf.int32.max, dtype=tf.int32)
    with tf.device("cpu"):
        passes = tf.Variable(0, dtype=tf.int32, trainable=False)
    return arrays_in_batches(arguments, lambda: tf.stack([seed, passes.assign_add(1)]))


def arrays_in_batches(
    arguments: dict[str, Any], key: Callable[[], Tensor]
) -> dict[str, Any]:
    """Replaces arrays by a data set of batches.

    Args:
        arguments: of `fit`, by name; the data are arrays.
        key: makes the (2,) int32 that the order of a pass depends on, in the graph.

    Returns:
        arguments: the same, for the data set.
    """
    given = dict(arguments)
    parts = tuple(given.pop(name, None) for name in ("x", "y", "sample_weight"))
    data = parts if parts[2] is not None else parts[0]
    if split := given.pop("validation_split", None):  # the last ones, as in Keras
        at = math.floor(len(keras.tree.flatten(data)[0]) * (1 - split))
        held = keras.tree.map_structure(lambda a: a[at:], data)
        data = keras.tree.map_structure(lambda a: a[:at], data)
        given["validation_data"] = held
    size = batch_size(given)
    given.pop("batch_size", None)
    if given.get("validation_batch_size") is None:
        given["validation_batch_size"] = size
    x = _batches(data, size, key if given.get("shuffle", True) else None)
    return {**given, "x": x, "shuffle": False}


def _batches(data: Any, size: int, key: Callable[[], Tensor] | None) -> tf.data.Dataset:
    count = len(keras.tree.flatten(data)[0])
    alike = count % size == 0  # TensorFlow's convolutions gain from a known batch size
    with tf.device("cpu"):  # the pipeline runs on the host, whatever device trains
        tensors = keras.tree.map_structure(lambda a: tf.constant(np.asarray(a)), data)

    def batch_rows(_: Tensor) -> tf.data.Dataset:
        rows = tf.range(count)
        if key is not None:
            rows = tf.random.experimental.stateless_shuffle(rows, key())
        return tf.data.Dataset.from_tensor_slices(rows).batch(
            size, drop_remainder=alike
        )

    def batch(rows: Tensor) -> Any:
        return keras.tree.map_structure(lambda t: tf.gather(t, rows), tensors)

    rows = tf.data.Dataset.range(1).flat_map(batch_rows)
    batches = rows.map(batch, num_parallel_calls=2, deterministic=True).prefetch(4)
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.apply(
        tf.data.experimental.assert_cardinality(math.ceil(count / size))
    ).with_options(options)
