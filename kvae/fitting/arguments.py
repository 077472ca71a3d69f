"""What `fit` and `evaluate` accept, checked before any graph is built."""

from __future__ import annotations

import logging
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.arrays import is_arrays
from kvae.core.checks import check_count
from kvae.core.inputs import Inputs, check_finite, check_observed
from kvae.core.types import Tensor

_LOG = logging.getLogger("kvae")

_TARGETS = (
    "a VAE is trained without targets; received y. Leave out y; pass labels as "
    '{"x": x, "condition": labels}. For a tf.data set of pairs: dataset.map(lambda x, '
    "y: x)."
)

_OTHER_TARGETS = (
    "y has the shape of x but different values. A VAE reconstructs x itself. To train "
    "on noisy inputs, pass the clean x and build the model with corruption=, for "
    "example kvae.corruptions.AdditiveNormal(0.1); to predict y from x pass "
    '{"x": y, "condition": x}.'
)

_COUNTS = {
    "batch_size": 1,
    "validation_batch_size": 1,
    "epochs": 0,
    "initial_epoch": 0,
    "steps": 1,
    "steps_per_epoch": 1,
    "validation_steps": 1,
}


def unpack_batch(data: Any) -> tuple[Inputs, Tensor | None]:
    """Splits what Keras hands to a step into inputs and sample weights.

    Args:
        data: x, (x,), (x, None, sample_weight), or the same with x again as y.

    Returns:
        inputs: one batch.
        sample_weight: (B,) or None.

    Raises:
        ValueError: if there is a target.
    """
    # `train_on_batch` hands over arrays, and Keras layers refuse a mix of kinds.
    data = keras.tree.map_structure(_to_tensor, data)
    if not isinstance(data, (tuple, list)):
        return Inputs.of(data), None
    x, y, sample_weight = (*data, None, None)[:3]
    inputs = Inputs.of(x)
    if y is not None and not _is_placeholder(y) and not _same_kind(inputs.x, y):
        raise ValueError(_TARGETS)
    return inputs, sample_weight


def _same_kind(x: Any, y: Any) -> bool:
    """Returns whether y may be x again, as autoencoders are usually fitted."""
    return not isinstance(y, dict) and x.dtype == y.dtype and x.shape == y.shape


def _to_tensor(value: Any) -> Tensor | None:
    return None if value is None else tf.convert_to_tensor(value)


def _placeholder(num: int) -> np.ndarray:
    """Returns a y without columns, (num, 0), which no user's target can look like."""
    return np.zeros((num, 0), "float32")


def _is_placeholder(y: Any) -> bool:
    shape = getattr(y, "shape", None)
    return shape is not None and len(shape) == 2 and shape[1] == 0


def prepare_data(model: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Checks the data of `fit` or `evaluate`, builds the model, keeps sample weights.

    Keras silently drops `sample_weight` if there is no y, so weights are passed with a
    placeholder y that `unpack_batch` discards.

    Args:
        model: the VAE.
        arguments: of the Keras method, by name; `validation_data` is checked as x is.

    Returns:
        arguments: to pass to Keras.

    Raises:
        ValueError: if the data do not fit the model, or there are targets or class
            weights.
    """
    given = dict(arguments)
    if given.get("class_weight") is not None:
        raise ValueError(
            "class_weight needs targets, and a VAE has none; received "
            f"{given['class_weight']!r}. Pass sample_weight, one number per example."
        )
    wrong = [
        callback
        for callback in keras.tree.flatten(given.get("callbacks") or [])
        if not hasattr(callback, "set_model")
    ]
    if wrong:
        raise ValueError(
            f"callbacks must be a list of Keras callbacks; received {wrong[0]!r}."
        )
    for name, least in _COUNTS.items():
        if given.get(name) is not None:
            check_count(name, given[name], least)
    x, y, weight = (given.get(key) for key in ("x", "y", "sample_weight"))
    given["x"], given["y"] = _prepare(model, x, y, weight)
    if "shuffle" in given and not is_arrays(given["x"]):
        given["shuffle"] = False  # Keras ignores it there, with a warning
    if given.get("validation_data") is not None:
        given["validation_split"] = 0.0  # Keras ignores it too
        data = given["validation_data"]
        if isinstance(data, tuple):
            x, y, weight = (*data, None, None)[:3]
            given["validation_data"] = (*_prepare(model, x, y, weight), weight)
        else:
            given["validation_data"] = _prepare(model, data, None, None)[0]
    elif given.get("validation_split") and is_arrays(given["x"]):
        _check_split(given["validation_split"], Inputs.of(given["x"]))
    return given


def _check_split(split: Any, inputs: Inputs) -> None:
    num = len(inputs.x)
    share = isinstance(split, (float, np.floating)) and 0 < split < 1
    if not share or not 0 < math.floor(num * (1 - split)) < num:
        raise ValueError(
            "validation_split must be a fraction between 0 and 1 that leaves examples "
            f"in both parts; received {split!r} for {num} examples. For a fifth of "
            "them, pass 0.2."
        )
    labels = None if inputs.condition is None else np.asarray(inputs.condition)
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "iub":
        return
    at = math.floor(num * (1 - split))
    unseen = np.setdiff1d(labels[at:], labels[:at])
    if len(unseen):
        _LOG.warning(
            "fit: validation_split=%g takes the last %d examples, as Keras does, and "
            "no other example has their label %s. Shuffle x and labels together "
            "first.",
            split,
            num - at,
            unseen[0],
        )


def _prepare(model: Any, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    if y is not None and not _is_x_again(x, y):
        raise ValueError(_TARGETS)
    if isinstance(x, tf.data.Dataset):
        _check_dataset(model, x)
        return x, None
    if x is None or isinstance(x, (tuple, list)):
        raise ValueError(
            "x must be an array, a dict of arrays, a tf.data.Dataset or a generator of "
            f"(x,) tuples; received {type(x).__name__}. Convert a list with np.asarray(x)."
        )
    if not is_arrays(x):
        return x, None  # a generator or PyDataset: the steps check what it yields
    inputs = model.check_inputs(x)
    if inputs.mask is not None and not model.objective.makes_condition:
        check_observed(inputs.mask)
    model.build_for(inputs)
    if sample_weight is None:
        return inputs.to_keras(), None
    _check_weights(np.asarray(sample_weight), len(inputs.x))
    return inputs.to_keras(), _placeholder(len(inputs.x))


def _is_x_again(x: Any, y: Any) -> bool:
    """Returns whether a target is x itself; refuses other values in the shape of x."""
    if y is x:
        return True
    if not is_arrays(x) or not is_arrays(y):
        return False
    first, second = np.asarray(Inputs.of(x).x), np.asarray(Inputs.of(y).x)
    if first.shape != second.shape:
        return False
    if not np.array_equal(first, second):
        raise ValueError(_OTHER_TARGETS)
    return True


def _check_weights(weight: np.ndarray, num: int) -> None:
    if weight.shape != (num,) or weight.dtype.kind not in "fiub":
        raise ValueError(
            f"sample_weight must have one number per example, shape ({num},); "
            f"received shape {weight.shape}, dtype {weight.dtype}."
        )
    check_finite(weight, name="sample_weight")
    if weight.min() < 0:
        raise ValueError(
            f"sample_weight must be at least 0; received {weight.min():g}. To leave an "
            "example out, give it weight 0."
        )


def _check_dataset(model: Any, dataset: tf.data.Dataset) -> None:
    """Checks the first batch, which stands for the shape and range of the rest."""
    spec = dataset.element_spec
    inputs = Inputs.of(spec[0] if isinstance(spec, tuple) else spec)
    if inputs.x.shape.rank == len(model.data_shape):
        raise ValueError(
            f"the data set yields single examples of shape {inputs.x.shape}. Batch it: "
            "dataset.batch(128)."
        )
    for first in dataset.take(1):
        batch, weight = unpack_batch(first)
        y = first[1] if isinstance(first, tuple) and len(first) > 1 else None
        if y is not None and not _is_placeholder(y):
            _is_x_again(batch.x, y)
        arrays = {key: value.numpy() for key, value in batch.to_dict().items()}
        if weight is not None:
            _check_weights(np.asarray(weight), len(batch.x))
        model.build_for(model.check_inputs(arrays))
        return
    raise ValueError(
        "the data set is empty. Check the file or the filter it came from."
    )
