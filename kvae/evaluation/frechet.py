"""The Frechet distance between two samples, as if both were normal."""

from __future__ import annotations

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Computes the squared Frechet distance of the normals fitted to two samples.

        d2 = |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a^(1/2) C_b C_a^(1/2))^(1/2))

    It is biased upward unless there are many more examples than features, so compare
    only values from the same numbers of examples.

    Args:
        a: (N, F) features, N at least 2.
        b: (M, F) features, M at least 2.

    Returns:
        distance: at least 0, in the squared unit of the features.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Heusel et al. 2017, arXiv:1706.08500.
    """
    a, b = check_pair(a, b, least=2)
    shift = float(np.square(a.mean(0) - b.mean(0)).sum())
    cov_a, cov_b = (np.atleast_2d(np.cov(s, rowvar=False)) for s in (a, b))
    # The product of the roots is symmetric and positive, so its eigenvalues are real;
    # the usual root of C_a C_b is not, and its imaginary part would be discarded.
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ cov_b @ root)
    cross = float(np.sqrt(np.maximum(inner, 0.0)).sum())
    return max(0.0, shift + float(np.trace(cov_a) + np.trace(cov_b)) - 2.0 * cross)


def check_pair(
    a: np.ndarray, b: np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns two feature arrays as float64, or raises ValueError if they do not fit."""
    try:
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    except OverflowError as error:  # of an integer above 1e308
        raise ValueError(f"features must be numbers: {error}.") from error
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            "features must be two arrays (N, F) and (M, F); received "
            f"{a.shape} and {b.shape}."
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("features hold NaN or infinity.")
    if min(len(a), len(b)) < least:
        raise ValueError(
            f"this score needs at least {least} examples on each side; received "
            f"{len(a)} and {len(b)}."
        )
    return a, b
