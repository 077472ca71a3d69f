"""P-values of groups of scores."""

from __future__ import annotations

import math

import numpy as np

_PERMUTATIONS = 999


def group_p_values(
    scores: np.ndarray,
    groups: np.ndarray,
    calibration: np.ndarray,
    alpha: float,
    two_sided: bool = False,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tests whether the mean score of each group is that of the calibration examples.

        p = (1 + number of permutations with a statistic >= the group's) / (R + 1)

    A permutation exchanges members of the group with calibration examples. If all are
    exchangeable, P(p <= alpha) is at most alpha, for groups of any size. The statistic is
    the mean of the group less that of the rest, or its absolute value.

    Args:
        scores: (N,) of the examples.
        groups: (N,) the group of each.
        calibration: (n,) scores of normal examples.
        alpha: the level that p-values must reach; sets R.
        two_sided: take the absolute value.
        seed: of the permutations.

    Returns:
        names: (G,) sorted.
        means: (G,) mean score of each group.
        p: (G,).

    Source: two-sided, with minus the log-likelihood as score: Nalisnick et al. 2019,
        arXiv:1906.02994, section 3.2; they take bootstrap samples.
    """
    rounds = max(_PERMUTATIONS, math.ceil(10.0 / alpha) - 1)
    names, members = np.unique(groups, return_inverse=True)
    means, p_values = [], []
    for group in range(len(names)):
        own = scores[members == group]
        means.append(own.mean())
        p_values.append(
            _permutation_p(own, calibration, rounds, two_sided, seed + group)
        )
    return names, np.array(means), np.array(p_values)


def _permutation_p(
    own: np.ndarray, calibration: np.ndarray, rounds: int, two_sided: bool, seed: int
) -> float:
    size, pool = len(own), np.concatenate([own, calibration])
    if not np.isfinite(
        pool
    ).all():  # an impossible example counts as the worst possible
        largest = np.abs(pool[np.isfinite(pool)]).max(initial=1.0)
        pool = np.clip(pool, -1e3 * largest, 1e3 * largest)
    random = np.random.default_rng(seed)
    # Random members without replacement: the smallest of one random number per example.
    chosen = np.empty((rounds, size), int)
    for start in range(0, rounds, 256):  # some megabytes at a time
        stop = min(start + 256, rounds)
        ranks = random.random((stop - start, len(pool)))
        chosen[start:stop] = np.argpartition(ranks, size - 1, axis=1)[:, :size]
    sums, total = pool[chosen].sum(axis=1), pool.sum()
    away = np.concatenate([[pool[:size].sum()], sums]) / size
    away = away - (total - away * size) / len(calibration)
    if two_sided:
        away = np.abs(away)
    # Equal sums in another order of addition may differ in their last bits.
    slack = 1e-9 * np.abs(pool).max()
    return float((1 + (away[1:] >= away[0] - slack).sum()) / (rounds + 1))
