"""The maximum mean discrepancy between two samples of latents."""

from __future__ import annotations

import numpy as np

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ROWS = 512


def maximum_mean_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """Estimates the squared maximum mean discrepancy, without bias.

        mmd = mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j)
              - 2 mean_{ij} k(a_i, b_j)
        k(u, v) = sum_s C_s / (C_s + |u - v|^2),   C_s = 2 D s,  s = 0.1 .. 10

    The inverse multiquadratic kernel has heavy tails, so outliers count; C = 2 D is the
    expected squared distance of two standard normals in D dimensions.

    Args:
        a: (N, D) latents, N at least 2.
        b: (M, D) latents, M at least 2.

    Returns:
        mmd: 0 in expectation if both come from one law; it can be negative.

    Raises:
        ValueError: if the shapes do not fit or a sample has fewer than 2 rows.

    Source: Gretton et al. 2012, "A kernel two-sample test"; the kernel is that of
        Tolstikhin et al. 2018, arXiv:1711.01558.
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if (
        a.ndim != 2
        or b.ndim != 2
        or a.shape[1] != b.shape[1]
        or min(len(a), len(b)) < 2
    ):
        raise ValueError(
            "the discrepancy takes two arrays (N, D) and (M, D) of at least 2 rows; "
            f"received {a.shape} and {b.shape}."
        )
    constants = 2.0 * a.shape[1] * np.array(_SCALES)
    inside = [
        (_kernel_sum(s, s, constants) - len(s) * len(_SCALES)) / (len(s) * (len(s) - 1))
        for s in (a, b)
    ]
    across = _kernel_sum(a, b, constants) / (len(a) * len(b))
    return float(inside[0] + inside[1] - 2.0 * across)


def _kernel_sum(a: np.ndarray, b: np.ndarray, constants: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(a), _ROWS):
        tile = a[start : start + _ROWS]
        squares = squared_distances(tile, b)
        total += sum(float((c / (c + squares)).sum()) for c in constants)
    return total


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes |a_i - b_j|^2 of rows: (N, D) and (M, D) give (N, M), never negative."""
    norms = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None, :]
    return np.maximum(norms - 2.0 * a @ b.T, 0.0)
