"""What `fit` and `evaluate` accept, checked before any graph is built."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.inputs import Inputs, check_arrays
from kvae.types import Tensor

_TARGETS = (
    "a VAE is trained without targets; received y. Leave y out; pass labels as "
    '{"x": x, "condition": labels}. For a tf.data set of pairs: '
    "dataset.map(lambda x, y: x)."
)


def unpack_batch(data: Any) -> tuple[Inputs, Tensor | None]:
    """Splits what Keras hands to a step into inputs and sample weights.

    Args:
        data: x, (x,), (x, None, sample_weight), or the same with a placeholder as y.

    Returns:
        inputs: one batch.
        sample_weight: (B,) or None.

    Raises:
        ValueError: if there is a target.
    """
    if not isinstance(data, (tuple, list)):
        return Inputs.of(data), None
    x, y, sample_weight = (*data, None, None)[:3]
    if y is not None and sample_weight is None:
        raise ValueError(_TARGETS)
    return Inputs.of(x), sample_weight


def prepare_fit_arguments(
    model: Any, x: Any, y: Any, kwargs: dict[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """Checks the data of `fit` or `evaluate`, builds the model, keeps sample weights.

    Keras drops `sample_weight` without a word where there is no y, so weights travel
    with a placeholder y that `unpack_batch` throws away.

    Args:
        model: the VAE.
        x: as given by the user.
        y: as given by the user.
        kwargs: further arguments; `validation_data` is checked as x is.

    Returns:
        x, y, kwargs: to hand on to Keras.
    """
    x, y = _prepare(model, x, y, kwargs.get("sample_weight"))
    if kwargs.get("validation_data") is not None:
        kwargs = {
            **kwargs,
            "validation_data": _prepare_validation(model, kwargs["validation_data"]),
        }
    return x, y, kwargs


def _prepare_validation(model: Any, data: Any) -> Any:
    if not isinstance(data, (tuple, list)):
        return _prepare(model, data, None, None)[0]
    x, y, weight = (*data, None, None)[:3]
    x, y = _prepare(model, x, y, weight)
    return (x,) if weight is None else (x, y, weight)


def _prepare(model: Any, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any]:
    if y is not None and y is not x:
        raise ValueError(_TARGETS)
    if isinstance(x, tf.data.Dataset):
        _check_dataset(model, x)
        return x, None
    if not isinstance(x, dict) and not hasattr(x, "__array__"):
        return x, None  # a generator or PyDataset: the steps check what it yields
    inputs = check_arrays(Inputs.of(x), model.data_shape, model.likelihood)
    model._build_for(inputs)
    if sample_weight is None:
        return inputs.to_keras(), None
    weight = np.asarray(sample_weight)
    if weight.shape != (len(inputs.x),):
        raise ValueError(
            f"sample_weight must have one number per example, shape ({len(inputs.x)},); "
            f"received {weight.shape}."
        )
    return inputs.to_keras(), np.zeros(len(inputs.x), "int8")


def _check_dataset(model: Any, dataset: tf.data.Dataset) -> None:
    """Checks the first batch, and by it the shape and range of the rest."""
    inputs, _ = unpack_batch(dataset.element_spec)
    if inputs.x.shape.rank == len(model.data_shape):
        raise ValueError(
            f"the data set yields single examples of shape {inputs.x.shape}. Batch it: "
            "dataset.batch(128)."
        )
    for first in dataset.take(1):
        batch, _ = unpack_batch(first)
        arrays = {key: value.numpy() for key, value in batch.to_dict().items()}
        model._build_for(
            check_arrays(Inputs(**arrays), model.data_shape, model.likelihood)
        )
        return
    raise ValueError(
        "the data set is empty. Check the file or the filter it came from."
    )
