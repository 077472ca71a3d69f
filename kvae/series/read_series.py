"""Series of different lengths, as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def read_series(what: str, series: Iterable[Any]) -> list[np.ndarray]:
    """Reads series that have the same features.

    Args:
        what: the function that takes them, for messages.
        series: each (T, F) or (T,).

    Returns:
        arrays: as many.

    Raises:
        ValueError: if one does not hold numbers, or has other features than the first.
    """
    arrays = [np.asarray(each) for each in series]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise ValueError(
                f"{what} expects series (T, F) or (T,) of numbers; received one of shape "
                f"{array.shape}, dtype {array.dtype}, at position {i}."
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                "all series must have the same features; received shapes "
                f"{arrays[0].shape} and {array.shape}, the latter at position {i}."
            )
    return arrays
