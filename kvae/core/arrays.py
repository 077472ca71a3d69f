"""Plain arrays from masked arrays, data frames, sparse matrices, and data sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

_MOST_READ = 20_000  # examples of a data set that parts are chosen from


def is_arrays(x: Any) -> bool:
    """Returns whether data are in memory: an array, what converts to one, or a dict."""
    if isinstance(x, tf.data.Dataset):
        return False
    kinds = (dict, tf.SparseTensor)
    return isinstance(x, kinds) or hasattr(x, "__array__") or hasattr(x, "toarray")


def plain_array(x: Any) -> tuple[Any, np.ndarray | None]:
    """Splits data with missing entries into numbers and a mask.

    Args:
        x: a `numpy.ma` array, a pandas frame or series, a sparse matrix or tensor.
            Anything else is returned unchanged.

    Returns:
        x: an array, 0 where an entry is missing.
        mask: 1 where x is observed; None if nothing is missing.

    Raises:
        ValueError: if a data frame has columns that are not numbers.
    """
    if isinstance(x, np.ma.MaskedArray):
        return _split(x.filled(0), ~np.ma.getmaskarray(x))
    if hasattr(x, "isna") and hasattr(x, "to_numpy"):  # pandas, without importing it
        return _split(_numbers(x), ~x.isna().to_numpy())
    if isinstance(x, tf.SparseTensor):
        return tf.sparse.to_dense(tf.sparse.reorder(x)).numpy(), None
    if hasattr(x, "toarray"):  # scipy.sparse
        return x.toarray(), None
    return x, None


def _numbers(frame: Any) -> np.ndarray:
    try:
        return np.asarray(frame.to_numpy(dtype="float64", na_value=np.nan))
    except (TypeError, ValueError):
        dtypes = frame.dtypes
        kinds: dict[Any, Any] = dict(dtypes) if hasattr(dtypes, "items") else {}
        words = [str(name) for name, dtype in kinds.items() if not _is_number(dtype)]
        columns = f" in the columns {', '.join(words[:5])}" if words else ""
        raise ValueError(
            f"x must hold numbers; received a data frame with text or categories"
            f"{columns}. Encode them, for example with pandas.get_dummies(frame), or "
            "drop them."
        ) from None


def _is_number(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "fiub"


def _split(values: np.ndarray, observed: np.ndarray) -> tuple[Any, np.ndarray | None]:
    if observed.all():
        return values, None
    return np.where(observed, values, 0).astype(values.dtype), observed


def read_examples(x: Any) -> np.ndarray:
    """Reads the examples that parts are chosen from, as one array.

    Args:
        x: an array, what `plain_array` takes, or a `tf.data.Dataset` of batches (of x,
            of pairs, or of dicts), of which the first 20 000 examples are read.

    Returns:
        x: (N, ...); missing entries are filled with the mean of their column.

    Raises:
        ValueError: if a data set yields single examples.
    """
    if isinstance(x, tf.data.Dataset):
        return _read_dataset(x)
    values, mask = plain_array(x)
    values = np.asarray(values)
    if mask is None:
        return values
    counts = np.maximum(mask.sum(axis=0), 1)
    means = np.where(mask, values, 0).sum(axis=0, dtype="float64") / counts
    return np.where(mask, values, means)


def filled_examples(x: Any, mask: Any) -> np.ndarray:
    """Fills missing entries with observed ones, so that units and kinds stay the same.

    Args:
        x: (N, ..., C).
        mask: in the shape of x, 1 where observed.

    Returns:
        x: with observed entries of the same index of the last axis, in turns, where one
            is missing; 0 if there are none.

    Raises:
        ValueError: if the mask doesn't have the shape of x.
    """
    x, known = np.array(x), np.asarray(mask).astype(bool)
    if x.shape != known.shape:
        raise ValueError(
            f"mask must have the shape of x, {x.shape}; received {known.shape}."
        )
    for index in range(x.shape[-1]):
        column, seen = x[..., index], known[..., index]
        count = int((~seen).sum())
        column[~seen] = np.resize(column[seen], count) if seen.any() else 0
    return x


def _read_dataset(dataset: tf.data.Dataset) -> np.ndarray:
    batches, count = [], 0
    for element in dataset:
        batch = element[0] if isinstance(element, tuple) else element
        batch = batch["x"] if isinstance(batch, dict) else batch
        if batch.shape.rank == 0:
            raise ValueError(
                "the data set yields single numbers. Batch it: dataset.batch(128)."
            )
        batches.append(batch.numpy())
        count += len(batches[-1])
        if count >= _MOST_READ:
            break
    if not batches:
        raise ValueError(
            "the data set is empty. Check the file or the filter it came from."
        )
    return np.concatenate(batches)[:_MOST_READ]
