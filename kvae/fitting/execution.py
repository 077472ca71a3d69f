"""How a fit is executed, where the user leaves it open."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.fitting.array_batches import batch_size, is_arrays
from kvae.fitting.joined_steps import has_convolution

LONG = 1000
"""Steps from which a fit repays what compiling it with XLA costs."""

STEPS_AT_ONCE = 24
"""Steps per call into TensorFlow, nearly; more gains nothing that can be measured."""

_BYTES_AT_ONCE = 32 * 2**20  # of the batches of one call, which it holds all at once

_LARGE = 100_000  # trained weights; XLA gains nothing on smaller networks
_HOOKS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)


def left_open(arguments: dict[str, Any]) -> tuple[str, ...]:
    """Names what the arguments of `compile` leave to be chosen."""
    steps = () if "steps_per_execution" in arguments else ("steps_per_execution",)
    jit = arguments.get("jit_compile", "auto") == "auto"
    return (*steps, *(("jit_compile",) if jit else ()))


@contextlib.contextmanager
def execution(
    model: Any, arguments: dict[str, Any], is_open: Collection[str]
) -> Iterator[None]:
    """Chooses `jit_compile` and `steps_per_execution` for the time of a fit.

    Nothing changes in a fit of fewer than 1000 steps, of unknown length, run eagerly or
    on several devices. In a longer one

    - steps are compiled with XLA if the CPU is the only device, and all trained weights
      are those of dense layers in float32, 100 000 at least. Measured, XLA takes a
      quarter off their steps, and joining them in one program another quarter; it
      lengthens those of convolutions. Its generator draws other noise of the same seed;
    - arrays are trained on in calls of about 24 steps, fewer where batches are large, if
      no callback wants to hear of every batch. The steps are the same.

    Args:
        model: compiled and built.
        arguments: of `fit`, with the data checked.
        is_open: what `left_open` names.
    """
    before = model.steps_per_execution, bool(model.jit_compile)
    chosen = _choose(model, arguments, is_open, *before)
    _set(model, before, chosen)
    try:
        yield
    finally:  # a short evaluation on endless data would take too many steps
        _set(model, chosen, before)


def _choose(
    model: Any,
    arguments: dict[str, Any],
    is_open: Collection[str],
    at_once: int,
    jit_compile: bool,
) -> tuple[int, bool]:
    per_epoch = _steps_per_epoch(arguments)
    several = model.distribute_strategy.num_replicas_in_sync > 1
    if per_epoch is None or several or model.run_eagerly:
        return at_once, jit_compile
    if per_epoch * (arguments.get("epochs") or 1) < LONG:
        return at_once, jit_compile
    if "steps_per_execution" in is_open and _may_join_steps(arguments):
        at_once = steps_at_once(per_epoch, steps_wanted(_batch_bytes(arguments)))
    if "jit_compile" in is_open:
        jit_compile = suits_xla(model)
    return at_once, jit_compile


def _set(model: Any, now: tuple[int, bool], then: tuple[int, bool]) -> None:
    if now == then:
        return
    with (
        warnings.catch_warnings()
    ):  # where XLA is switched off, Keras says so and goes on
        warnings.simplefilter("ignore")
        model.steps_per_execution, model.jit_compile = then
    # Keras makes them anew, with these settings.
    model.train_function = model.test_function = model.predict_function = None


def steps_wanted(batch_bytes: int) -> int:
    """How many steps go into one call, at most 24 and as memory allows.

    Args:
        batch_bytes: of one batch.

    Returns:
        wanted: for `steps_at_once`.
    """
    return max(1, min(STEPS_AT_ONCE, _BYTES_AT_ONCE // max(1, batch_bytes)))


def steps_at_once(steps: int, wanted: int) -> int:
    """Chooses how many steps go into one call, near what is wanted.

    So that an epoch is a whole number of calls, or nearly, any number from half to twice
    the one wanted will do.

    Args:
        steps: of one pass over the data.
        wanted: steps per call.

    Returns:
        chosen: steps per call; a divisor of `steps` where there is one.
    """
    choices = range(math.ceil(wanted / 2), min(2 * wanted, steps) + 1)
    if not choices:  # fewer steps than half of what is wanted
        return steps
    return min(choices, key=lambda n: (-steps % n, abs(n - wanted)))


def _steps_per_epoch(arguments: dict[str, Any]) -> int | None:
    if steps := arguments.get("steps_per_epoch"):
        return int(steps)
    x = arguments["x"]
    if isinstance(x, tf.data.Dataset):
        count = int(x.cardinality())
        return count if count > 0 else None
    if is_arrays(x):
        count = len(keras.tree.flatten(x)[0])
        count -= math.floor(count * (arguments.get("validation_split") or 0.0))
        return math.ceil(count / batch_size(arguments))
    return None


def _batch_bytes(arguments: dict[str, Any]) -> int:
    """Of a batch of arrays."""
    arrays = [np.asarray(array) for array in keras.tree.flatten(arguments["x"])]
    return batch_size(arguments) * sum(a.nbytes // len(a) for a in arrays)


def _may_join_steps(arguments: dict[str, Any]) -> bool:
    """Whether all data end where an epoch does, and no callback hears of batches."""
    if isinstance(arguments["x"], tf.data.Dataset) or arguments.get("steps_per_epoch"):
        return False
    if arguments.get("validation_steps"):
        return False
    callbacks = keras.tree.flatten(arguments.get("callbacks") or [])
    return not any(_hears_batches(callback) for callback in callbacks)


def _hears_batches(callback: Any) -> bool:
    """Whether a callback overrides one of the hooks around training batches."""
    for hook in _HOOKS:
        method = getattr(
            callback, hook
        )  # `LambdaCallback` sets its own on the instance
        if getattr(method, "__func__", None) is not getattr(
            keras.callbacks.Callback, hook
        ):
            return True
    return False


def suits_xla(model: Any) -> bool:
    """Whether XLA shortens the steps of a built model, as far as was measured."""
    if tf.config.list_physical_devices("GPU") or has_convolution(model):
        return False
    dense = {
        id(weight)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.Dense) and layer.compute_dtype == "float32"
        for weight in layer.trainable_variables
    }
    weights = model.trainable_variables
    large = sum(math.prod(weight.shape) for weight in weights) >= _LARGE
    return large and all(id(weight) in dense for weight in weights)
