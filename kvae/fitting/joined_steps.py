"""Several training steps in one XLA program."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor

_MOST = 50  # steps in one program; compiling more costs as much as they gain
_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)
_XLA = {"jit_compile": True, "autograph": False, "reduce_retracing": True}


def joins_steps(model: Any) -> bool:
    """Whether the steps of one call into TensorFlow can be one XLA program.

    Keras runs one program per step, and each copies all weights in and out. Within one
    program they stay in place, which saves a fifth of the time for dense networks.
    Convolutions are left to Keras, because in an XLA loop on a CPU each takes a hundred
    times longer.

    Args:
        model: compiled and built.
    """
    several = model.distribute_strategy.num_replicas_in_sync > 1
    if several or model.run_eagerly or not model.jit_compile:
        return False
    if not type(model).train_step.__module__.startswith("kvae."):
        return (
            False  # a user's own step, which may report other values than the metrics
        )
    return model.steps_per_execution > 1 and not has_convolution(model)


def joined_train_function(
    model: Any, one_by_one: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Makes the train function of a model whose steps are joined.

    As Keras' own, it takes `steps_per_execution` batches from an iterator, fewer where
    the data end, and returns the metrics after the last of them. Batches of different
    sizes are trained on one after another.

    Args:
        model: one that `joins_steps`.
        one_by_one: the train function of Keras, for iterators of other kinds.

    Returns:
        train: from an iterator to the metrics by name.
    """
    single = tf.function(model.train_step, **_XLA)
    result = tf.function(model.get_metrics_result)
    programs = math.ceil(model.steps_per_execution / _MOST)
    fewest, longer = divmod(model.steps_per_execution, programs)
    join = functools.lru_cache(functools.partial(_join, model))

    @tf.function(autograph=False)
    def alone(batch: Any) -> None:
        single(batch.get_value())

    def train(iterator: Any) -> Any:
        if not isinstance(iterator, tf.data.Iterator):
            return one_by_one(iterator)
        metrics = None
        for program in range(programs):
            found, alike, batches, latest = join(fewest + (program < longer))(iterator)
            if not found[0]:
                break
            if not alike:  # not in the graph, where each batch would add to tracing
                for batch in batches:
                    if batch.has_value():
                        alone(batch)
                latest = result()
            metrics = latest
        if metrics is None:
            raise StopIteration
        return metrics

    return train


def _join(model: Any, num: int) -> Callable[[Any], tuple[Any, ...]]:
    """Makes the function that takes `num` batches and trains on them if they are alike.

    It returns which of them there were, whether it trained on them, the batches, and the
    metrics.
    """

    @functools.partial(tf.function, **_XLA)
    def several(batches: list[Any]) -> None:
        stacked = tf.nest.map_structure(lambda *b: tf.stack(b), *batches)

        def step(index: Tensor) -> Tensor:
            model.train_step(tf.nest.map_structure(lambda b: b[index], stacked))
            return index + 1

        tf.while_loop(lambda index: index < num, step, [tf.constant(0)])

    @tf.function(autograph=False)
    def execute(iterator: Any) -> tuple[Any, ...]:
        batches = [iterator.get_next_as_optional() for _ in range(num)]
        found = tf.stack([batch.has_value() for batch in batches])
        alike = tf.cond(
            tf.reduce_all(found), lambda: _same_shapes(batches), lambda: False
        )

        def together() -> Tensor:
            several([batch.get_value() for batch in batches])
            return tf.constant(True)

        tf.cond(alike, together, lambda: False)
        return found, alike, batches, model.get_metrics_result()

    return execute


def _same_shapes(batches: list[Any]) -> Tensor:
    """Returns whether batches have the same shapes, all of them being present."""
    arrays = zip(*(tf.nest.flatten(b.get_value()) for b in batches), strict=True)
    shapes = [tf.stack([tf.shape(array) for array in found]) for found in arrays]
    return tf.reduce_all([tf.reduce_all(shape == shape[:1]) for shape in shapes])


def has_convolution(model: Any) -> bool:
    """Returns whether a part of a built model convolves, trained or not.

    A weight with more than two axes counts as a kernel, except in the prior, whose
    weights may be images.
    """
    prior = {id(weight) for weight in model.prior.weights}
    return any(
        isinstance(layer, _CONVOLUTIONS) for layer in model._flatten_layers()
    ) or any(
        len(weight.shape) > 2 and id(weight) not in prior for weight in model.weights
    )
