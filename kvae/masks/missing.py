"""Masks from NaN."""

from __future__ import annotations

from typing import Any

import numpy as np


def nan_as_missing(x: Any) -> dict[str, np.ndarray]:
    """Makes a mask from NaN, for data in which NaN means missing.

    Args:
        x: (N, ...) numbers, NaN where an entry is missing.

    Returns:
        inputs: "x" with 0 instead of NaN, and "mask", 1 where x is observed. `fit`,
            `elbo`, and the functions in `kvae.evaluation` take it.

    Raises:
        ValueError: if x is not an array of numbers.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise ValueError(
            f"nan_as_missing expects an array of numbers; received dtype={x.dtype}. "
            'Convert it, for example with np.asarray(x, "float32").'
        )
    missing = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    return {
        "x": np.where(missing, np.zeros((), x.dtype), x),
        "mask": (~missing).astype("float32"),
    }
