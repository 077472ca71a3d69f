"""How much a linear model of some data would encode: a yardstick."""

from __future__ import annotations

import numpy as np

_MOST_ROWS = 2000
_LEAST_NOISE = 1e-6  # of the mean variance, as likelihoods bound their scales by 1e-3


def linear_rate(x: np.ndarray, dim: int) -> float:
    """Estimates the rate of the best linear-Gaussian model with `dim` latents.

        x = W z + b + s e;  rate = sum_d 1/2 log(lambda[d] / s^2)

    with the largest eigenvalues lambda of the covariance of x, and s^2 the mean of the
    others (probabilistic PCA). Directions come from one half of the examples, variances
    along them from the other half, and both halves take turns. So the estimate for pure
    noise is near 0, however few the examples.

    Args:
        x: (N, ...) numbers in comparable units, N at least 4.
        dim: how many latents, less than the number of entries.

    Returns:
        rate: nats per example.

    Source: Tipping, Bishop 1999, "Probabilistic principal component analysis", section
        3; the rate is the mean KL of its posterior to N(0, I).
    """
    x = np.asarray(x)[:: -(-len(x) // _MOST_ROWS)]
    x = x.reshape(len(x), -1).astype("float64")
    halves = x[::2], x[1::2]
    return 0.5 * (_one_way(*halves, dim) + _one_way(*halves[::-1], dim))


def _one_way(learn: np.ndarray, measure: np.ndarray, dim: int) -> float:
    dim = min(dim, learn.shape[1] - 1, len(learn) - 1)
    if dim < 1:
        return 0.0
    _, _, directions = np.linalg.svd(learn - learn.mean(0), full_matrices=False)
    centered = measure - measure.mean(0)
    total = np.square(centered).mean(0).sum()
    if total == 0:
        return 0.0
    along = np.square(centered @ directions[:dim].T).mean(0)
    noise = max(
        (total - along.sum()) / (centered.shape[1] - dim),
        _LEAST_NOISE * total / centered.shape[1],
    )
    return float(0.5 * np.log(np.maximum(along / noise, 1.0)).sum())
