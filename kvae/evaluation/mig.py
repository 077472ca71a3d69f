"""The mutual information gap."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_size
from kvae.evaluation.factors import check_factors


def mutual_information_gap(
    latents: Any, factors: Any, num_bins: int | None = None
) -> float:
    """Scores how much one latent knows about a factor that no other latent does.

        MIG = mean_f ( I(z_best; f) - I(z_second; f) ) / H(f)

    Each latent is divided into bins of equal width between its extremes, and the mutual
    information is that of the table of counts.

    Args:
        latents: (N, D) representation, at least 2 latents.
        factors: (N, F) integer levels.
        num_bins: bins per latent. With fewer bins than a factor has levels, not even
            perfect latents reach 1. None takes 20, or the largest number of levels if
            that is more.

    Returns:
        score: from 0 to 1; at 1, each factor has one latent.

    Raises:
        ValueError: if the arguments do not fit.

    Source: Chen et al. 2018, arXiv:1802.04942; bins as in Locatello et al. 2019,
        arXiv:1811.12359.
    """
    latents, factors, _ = check_factors(latents, factors)
    if latents.shape[1] < 2:
        raise ValueError("the gap compares two latents; the representation has one.")
    if num_bins is not None:
        check_size("num_bins", num_bins, 2)
    else:
        num_bins = max(20, int(factors.max()) + 1)
    table = mutual_information_table(latents, factors, num_bins)  # (D, F)
    entropies = np.array([_entropy(np.bincount(column)) for column in factors.T])
    ordered = np.sort(table, axis=0)
    return float(((ordered[-1] - ordered[-2]) / entropies).mean())


def mutual_information_table(
    latents: np.ndarray, factors: np.ndarray, num_bins: int = 20
) -> np.ndarray:
    """Computes I(z_d; f) in nats for each latent and factor: (D, F)."""
    binned = [_bins(column, num_bins) for column in latents.T]
    return np.array([[_information(a, b) for b in factors.T] for a in binned])


def _bins(values: np.ndarray, num_bins: int) -> np.ndarray:
    low, high = values.min(), values.max()
    if high <= low:
        return np.zeros(len(values), int)
    places = (values - low) / (high - low) * num_bins
    return np.minimum(places.astype(int), num_bins - 1)


def _entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def _information(a: np.ndarray, b: np.ndarray) -> float:
    joint = np.bincount(a * (b.max() + 1) + b)
    mutual = _entropy(np.bincount(a)) + _entropy(np.bincount(b)) - _entropy(joint)
    return max(0.0, mutual)
