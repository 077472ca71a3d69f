"""Labels as a column of a shard: stored exactly, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.rows import Rows

_CHECKED_AT_ONCE = 2**20


class LabelColumn:
    """Labels that are converted, when they are read, to the dtype of the file.

    Integers become int64. Floats stay float32 or float64 in Parquet; TFRecord only
    holds float32.

    Args:
        labels: (N,) numbers.
        file_format: "parquet" or "tfrecord".

    Raises:
        UserError: if there is not one number per example, or the file can't hold a
            label without changing it.
    """

    def __init__(self, labels: Rows, file_format: str) -> None:
        self._labels = labels
        self._floats_of_32_bits = file_format == "tfrecord"
        for first in range(0, len(labels), _CHECKED_AT_ONCE):
            _ = self[first : first + _CHECKED_AT_ONCE]

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, rows: slice) -> np.ndarray:
        labels = np.asarray(self._labels[rows])
        if labels.ndim != 1 or labels.dtype.kind not in "iubf":
            raise UserError(
                f"labels must be one number per example; received shape {labels.shape}, "
                f"dtype {labels.dtype}."
            )
        written = self._written(labels)
        changed = (written != labels) & ~((written != written) & (labels != labels))
        if labels.dtype.kind == "u":  # NumPy compares int64 and uint64 as floats
            changed = labels > np.uint64(np.iinfo(np.int64).max)
        if changed.any():
            advice = (
                "; Parquet holds 64 bits (file_format, --format)"
                if self._floats_of_32_bits and labels.dtype == "float64"
                else ""
            )
            raise UserError(
                f"the label {labels[np.argmax(changed)]!s} of {labels.dtype} does not "
                f"fit into {written.dtype}{advice}; use labels that fit, or none."
            )
        return written

    def _written(self, labels: Any) -> np.ndarray:
        if labels.dtype.kind != "f":
            return labels.astype("int64")
        wide = labels.dtype.itemsize > 4 and not self._floats_of_32_bits
        with np.errstate(over="ignore"):  # an overflow shows as a change
            return labels.astype("float64" if wide else "float32")
