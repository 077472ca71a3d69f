"""Ragged series, padded to one length."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_data_shape
from kvae.series.read_series import read_series


def pad(series: Any, lengths: Any = None, steps: int | None = None) -> dict[str, Any]:
    """Pads series of different lengths at their ends, and makes the mask that says where.

    What is padded never counts: not in the ELBO, in training, or in a score.

    Args:
        series: a list of N arrays (T_i, F) or (T_i,); a `tf.RaggedTensor`; or an array
            (N, T, F) with `lengths`. Entries that are NaN count as missing.
        lengths: (N,) how many steps of each row of an array are the series; None if
            `series` is ragged itself.
        steps: T, the length to pad to, such as that of the model; the longest if None.

    Returns:
        inputs: "x", (N, T, F) with 0 where there is nothing, and "mask", 1 where x is
            observed. `for_data`, `fit`, `elbo`, `complete`, and the functions in
            `kvae.evaluation` take it.

    Raises:
        ValueError: if a series is longer than `steps`, has other features than the first,
            or `lengths` don't fit.
    """
    rows = _rows(series, lengths)
    sizes = [len(row) for row in rows]
    steps = max(sizes) if steps is None else check_count("steps", steps)
    if max(sizes) > steps:
        raise ValueError(
            f"series {int(np.argmax(sizes))} has {max(sizes)} steps, more than "
            f"steps={steps}. Cut it first, for example with kvae.series.windows."
        )
    check_data_shape("pad", (steps, *rows[0].shape[1:]), "steps and features")
    dtype = np.result_type(*{row.dtype for row in rows})
    x = np.zeros((len(rows), steps, *rows[0].shape[1:]), dtype)
    mask = np.zeros(x.shape, "float32")
    for i, row in enumerate(rows):  # ragged: there is no array to do it at once
        known = ~np.isnan(row) if row.dtype.kind == "f" else np.ones(row.shape, bool)
        x[i, : len(row)] = np.where(known, row, 0)
        mask[i, : len(row)] = known
    return {"x": x, "mask": mask}


def _rows(series: Any, lengths: Any) -> list[np.ndarray]:
    if isinstance(series, tf.RaggedTensor):
        series = [row.numpy() for row in series]
    if lengths is not None:
        x, counts = np.asarray(series), np.asarray(lengths)
        fits = counts.shape == x.shape[:1] and counts.dtype.kind in "iu" and x.ndim > 1
        if not fits or not np.all((counts >= 0) & (counts <= x.shape[1])):
            raise ValueError(
                "pad expects lengths (N,), integers up to the T of series (N, T, F); "
                f"received lengths {np.shape(lengths)} and series {x.shape}."
            )
        series = [row[:count] for row, count in zip(x, counts, strict=True)]
    if not isinstance(series, (list, tuple)) or not len(series):
        raise ValueError(
            "pad expects a list of series, a tf.RaggedTensor, or an array with lengths=; "
            f"received {type(series).__name__}."
        )
    return read_series("pad", series)
