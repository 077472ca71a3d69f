"""One batch of inputs, and what a user can pass for it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.arrays import plain_array
from kvae.core.types import Tensor

_KEYS = ("x", "condition", "mask")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """One batch, or a whole data set held as arrays.

    Attributes:
        x: (B, *data_shape) the examples.
        condition: (B, ...) the c of p(x|z,c), or None.
        mask: in the shape of x, 1 where x is observed, or None.
        sample_weight: (B,) how much each example counts in the loss, or None. The
            training step sets it, for terms that depend on the whole batch.
        count: how many examples the batch has on all replicas, or None for B. The
            training step sets it.
    """

    x: Tensor
    condition: Tensor | None = None
    mask: Tensor | None = None
    sample_weight: Tensor | None = None
    count: Tensor | None = None

    @classmethod
    def of(cls, data: Any) -> Inputs:
        """Reads a tensor, or a dict with "x" and optionally "condition" and "mask".

        Args:
            data: what `fit` or a data set yields as x.

        Returns:
            inputs: the same, by name.

        Raises:
            ValueError: if a dict has no "x" or an unknown key.
        """
        if isinstance(data, Inputs):
            return data
        if data is None:
            raise ValueError(
                "inputs must be an array, a tensor, or a dict with 'x'; received None."
            )
        if not isinstance(data, dict):
            x, missing = plain_array(data)
            return cls(x, mask=missing)
        unknown = sorted(set(data) - set(_KEYS))
        if unknown or data.get("x") is None:
            raise ValueError(
                "inputs must be a tensor or a dict with 'x' and optionally "
                f"'condition' and 'mask'; received the keys {sorted(data)}."
            )
        x, missing = plain_array(data["x"])
        mask = data.get("mask")
        if missing is not None:
            mask = missing if mask is None else missing & (np.asarray(mask) != 0)
        return cls(**{**data, "x": x, "mask": mask})

    def to_dict(self) -> dict[str, Tensor]:
        """Returns the inputs that are present, by name."""
        fields = {key: getattr(self, key) for key in _KEYS}
        return {key: value for key, value in fields.items() if value is not None}

    def mean_entries(self, data_shape: tuple[int, ...]) -> float:
        """Returns the mean number of entries that the density of an example covers."""
        if self.mask is None:
            return float(math.prod(data_shape))
        return float(np.count_nonzero(self.mask)) / len(self.x)

    def to_keras(self) -> Any:
        """Returns the form that Keras takes: only x, or a dict."""
        present = self.to_dict()
        return self.x if len(present) == 1 else present


def count_observed(mask: Tensor | None, dtype: str) -> Tensor | None:
    """Counts the observed entries of each example, (B,); None if there is no mask."""
    if mask is None:
        return None
    observed = tf.cast(tf.cast(mask, tf.bool), dtype)
    return tf.reduce_sum(observed, axis=range(1, len(mask.shape)))


def check_arrays(
    inputs: Inputs, data_shape: tuple[int, ...], likelihood: Any
) -> Inputs:
    """Checks a data set held as arrays before any graph is built.

    Args:
        inputs: arrays.
        data_shape: the shape that one example must have.
        likelihood: the entries must be in its support.

    Returns:
        inputs: as numpy arrays.

    Raises:
        ValueError: if there are no examples, a shape is wrong, lengths differ, or
            entries are NaN, infinite, or outside the likelihood's support.
    """
    arrays = {key: np.asarray(value) for key, value in inputs.to_dict().items()}
    x, mask = arrays["x"], arrays.get("mask")
    if x.dtype.kind not in "fiub":
        raise ValueError(
            f"x must be an array of numbers; received dtype={x.dtype}. Convert it, for "
            'example with np.asarray(x, "float32").'
        )
    if x.shape[1:] != tuple(data_shape) or x.ndim == 0:
        raise ValueError(
            f"the model takes examples of shape {tuple(data_shape)}; received x of shape "
            f"{x.shape}. {_shape_advice(x.shape, tuple(data_shape))}"
        )
    if len(x) == 0:
        raise ValueError(
            "x holds no examples. Check the file or the filter it came from."
        )
    for key, value in arrays.items():
        if value.shape[:1] != x.shape[:1]:
            rows = len(value) if value.ndim else "a single number"
            raise ValueError(
                f"x and {key} must have one row per example; received {len(x)} and {rows}."
            )
    if mask is not None:
        check_mask(mask, x.shape)
    check_finite(x, mask, likelihood.maths_dtype)
    likelihood.check_support(x, mask)
    return Inputs(**arrays)


def check_mask(mask: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raises unless a mask has the shape of x and holds only 0 and 1."""
    if mask.shape != shape:
        raise ValueError(
            f"mask must have the shape of x, {shape}; received {mask.shape}."
        )
    if mask.dtype.kind not in "biuf":
        raise ValueError(
            f"mask must hold booleans or the numbers 0 and 1; received dtype={mask.dtype}."
        )
    if mask.dtype.kind != "b" and not ((mask == 0) | (mask == 1)).all():
        raise ValueError(
            "mask must hold only 1 (observed) and 0 (missing); received "
            f"min={mask.min():.3g}, max={mask.max():.3g}."
        )


def check_observed(mask: np.ndarray) -> None:
    """Raises if an example has no observed entry."""
    empty = ~mask.reshape(len(mask), -1).any(axis=1)
    if empty.any():
        raise ValueError(
            f"{int(empty.sum())} examples have no observed entry, so there is nothing to "
            f"learn from them; the first is example {int(np.argmax(empty))}. Remove "
            "them. kvae.evaluation.impute fills in such rows too."
        )


def check_finite(
    x: np.ndarray,
    mask: np.ndarray | None = None,
    dtype: str = "float32",
    name: str = "x",
) -> None:
    """Raises if an observed entry is NaN, infinite, or so large that its square overflows.

    Args:
        x: (N, ...) numbers.
        mask: in the shape of x, 0 where an entry does not count; None if all count.
        dtype: the dtype in which the model computes. float32 can't hold 1e39.
        name: the name of x, for the message.

    Raises:
        ValueError: with the number of such entries, and the first example.
    """
    if x.dtype.kind != "f" or not x.size:
        return
    largest = math.sqrt(np.finfo(dtype).max)
    if -largest <= float(x.min()) and float(x.max()) <= largest:  # not with a NaN
        return
    missing = (
        "pass a mask that is 0 where x is missing" if name == "x" else "fill it in"
    )
    counted = np.ones((), bool) if mask is None else mask.astype(bool)
    for bad, what, advice in (
        (
            ~np.isfinite(x) & counted,
            "are NaN or infinite",
            missing,
        ),
        (
            (np.abs(x) > np.float64(largest)) & counted,
            f"are larger than {largest:.1e}, so {dtype} can't hold their squares",
            "scale the data",
        ),
    ):
        if bad.any():
            rows = np.flatnonzero(bad.reshape(len(x), -1).any(axis=1))
            raise ValueError(
                f"{name} holds {int(bad.sum())} entries that {what}, the first in "
                f"example {rows[0]}. Remove those {len(rows)} examples, or {advice}."
            )


def _shape_advice(came: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    if came[1:] + (1,) == wanted:
        return "Add the channel: x[..., None]."
    if came == wanted:
        return "This is a single example: add the batch axis with x[None]."
    if int(np.prod(came[1:])) == int(np.prod(wanted)):
        return f"Reshape it: x.reshape(-1, {', '.join(map(str, wanted))})."
    return "Build the model for this shape, for example with VAE.for_data(x)."
