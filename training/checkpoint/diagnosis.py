"""Finds the step and the layer in which a divergence began."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.training.checkpoint.training_state import read, state_variables, write

_GROWTH = 100.0  # times the output of a layer in a good state
_PARTS = ("encoder", "posterior", "prior", "decoder", "likelihood")


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Where a divergence began.

    Attributes:
        step: number of the step, from 1, over the whole run.
        loss: of its batch.
        place: the first thing that went wrong, in words.
    """

    step: int
    loss: float
    place: str


def diagnose(
    model: Any, batches: Iterable[Any], is_bad: Callable[[float], bool]
) -> Diagnosis | None:
    """Repeats steps one by one from a good state, up to the first bad one.

    Args:
        model: in a good state; it is left with the weights before the bad step.
        batches: the batches that it was trained on from there.
        is_bad: says whether a loss means that training has diverged.

    Returns:
        diagnosis: None if no step is bad.
    """
    state, _ = state_variables(model)
    first = good = read(state)
    for data in batches:
        parts = data if isinstance(data, tuple) else (data,)
        x, y, sample_weight = (*parts, None, None)[:3]
        model.reset_metrics()
        logs = model.train_on_batch(x, y, sample_weight, return_dict=True)
        loss = float(logs["loss"])
        now = read(state)
        spoilt = not all(
            np.isfinite(a).all() for a in now if np.issubdtype(a.dtype, np.floating)
        )
        if is_bad(loss) or spoilt:
            write(state, first)
            before = _largest_outputs(model, data)
            write(state, good)
            after = _largest_outputs(model, data)
            place = _place(before, after) or _bad_gradient(model, data)
            return Diagnosis(int(model.step.numpy()) + 1, loss, place)
        good = now
    return None


def _place(before: dict[str, float], after: dict[str, float]) -> str:
    for name, largest in after.items():
        if not math.isfinite(largest):
            return f"{name} is the first layer whose output is not finite"
    for name, largest in after.items():
        usual = max(before.get(name, 0.0), 1.0)
        if largest > _GROWTH * usual:
            return (
                f"{name} is the first layer to give large values, up to {largest:.1e}"
            )
    return ""


def _largest_outputs(model: Any, data: Any) -> dict[str, float]:
    """Finds the largest output of each layer, and then of each term of the loss."""
    found: dict[str, float] = {}
    with _watched(model, found):
        parts = _loss_parts(model, data)
    found |= {
        f"the distortion ({type(model.likelihood).__name__})": _size(parts.distortion),
        f"the rate ({type(model.posterior).__name__})": _size(parts.rate),
    }
    return found


def _loss_parts(model: Any, data: Any) -> Any:
    inputs, sample_weight = model._unpack(data)
    return model._loss_parts(inputs, model._training_noise(), sample_weight, True)


def _bad_gradient(model: Any, data: Any) -> str:
    with tf.GradientTape() as tape:
        parts = _loss_parts(model, data)
        loss = tf.reduce_mean(parts.data_term) + tf.reduce_mean(parts.kl_term)
    variables = _backwards(model)
    sizes = [
        (variable.path, _size(gradient))
        for variable, gradient in zip(
            variables, tape.gradient(loss, variables), strict=True
        )
        if gradient is not None
    ]
    for path, size in sizes:
        if not math.isfinite(size):
            return f"the gradient of {path} is the first that is not finite"
    path, size = max(sizes, key=lambda pair: pair[1])
    return f"the gradient of {path} is the largest, up to {size:.1e}"


def _backwards(model: Any) -> list[Any]:
    """Lists the trainable variables as the gradient reaches them; no part's first."""
    rank = {
        id(variable): i
        for i, part in enumerate(reversed(_PARTS))
        if getattr(model, part, None) is not None
        for variable in getattr(model, part).trainable_variables
    }
    variables = reversed(model.trainable_variables)
    return sorted(variables, key=lambda variable: rank.get(id(variable), -1))


@contextlib.contextmanager
def _watched(model: Any, found: dict[str, float]) -> Iterator[None]:
    """Notes the largest output of every layer without layers of its own."""
    names = {
        layer: f"{part}: {layer.path}"
        for part in _PARTS
        if getattr(model, part, None) is not None
        for layer in getattr(model, part)._flatten_layers()
        if not layer._layers
    }
    for layer, name in names.items():
        layer.call = _noting(layer.call, name, found)
    try:
        yield
    finally:
        for layer in names:
            del layer.call


def _noting(
    call: Callable[..., Any], name: str, found: dict[str, float]
) -> Callable[..., Any]:

    def noting(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        sizes = [_size(x) for x in keras.tree.flatten(outputs) if tf.is_tensor(x)]
        found[name] = max([found.get(name, 0.0), *sizes], key=_rank)
        return outputs

    return noting


def _rank(size: float) -> float:
    return math.inf if math.isnan(size) else size


def _size(value: Any) -> float:
    tensor = tf.convert_to_tensor(value)
    if not tensor.dtype.is_floating or not tf.size(tensor):
        return 0.0
    if not tf.reduce_all(tf.math.is_finite(tensor)):
        return math.nan
    return float(tf.reduce_max(tf.abs(tf.cast(tensor, tf.float64))))
