"""Windows of fixed length, cut from long series."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_count
from kvae.series.read_series import read_series


def windows(x: Any, length: int, stride: int = 1) -> np.ndarray:
    """Cuts windows of consecutive steps from one long series, or from several.

    Split a series into parts to train and to test on before you cut it, so that their
    windows don't overlap.

    Args:
        x: (L, F) or (L,), one long series of L steps, also as a data frame; or a list of
            such series, whose windows don't cross from one to the next.
        length: T, the steps of a window.
        stride: steps from the start of a window to that of the next.

    Returns:
        windows: (N, T, F), or (N, T) for series (L,), from first to last.

    Raises:
        ValueError: if x is not a series of numbers, or is shorter than a window.
    """
    length, stride = check_count("length", length), check_count("stride", stride)
    several = isinstance(x, (list, tuple)) and len(x) and np.ndim(x[0])
    arrays = read_series("windows", x if several else [x])
    cut = [
        np.lib.stride_tricks.sliding_window_view(array, length, axis=0)[::stride]
        for array in arrays
        if len(array) >= length
    ]
    if not cut:
        longest = max(map(len, arrays))
        raise ValueError(
            f"windows of {length} steps don't fit a series of {longest} steps. Pass a "
            "smaller length."
        )
    # The view has the steps of a window last.
    return np.concatenate([np.moveaxis(view, -1, 1) for view in cut])
