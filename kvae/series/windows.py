"""Windows of fixed length, cut from long series."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_count


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
    parts = list(x) if several else [x]
    arrays = [np.asarray(part) for part in parts]
    for array in arrays:
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise ValueError(
                "windows expects a series (L, F) or (L,) of numbers, or a list of them; "
                f"received shape {array.shape}, dtype {array.dtype}."
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                "all series must have the same features; received shapes "
                f"{arrays[0].shape} and {array.shape}."
            )
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
