"""Differences of two samples, column by column, and permutations that tell their chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BLOCK = 64  # permutations at once

Distance = Callable[[np.ndarray], np.ndarray]
"""Takes members of the first sample, (R, N + M) booleans, and gives (R,) distances."""


def permutations(
    count: int, first: int, rounds: int, random: np.random.Generator
) -> np.ndarray:
    """Random choices of `first` members among `count`: (rounds, count) booleans."""
    ranks = random.random((rounds, count))
    limit = np.partition(ranks, first - 1, axis=1)[:, first - 1 : first]
    return ranks <= limit


def distance_of_numbers(pool: np.ndarray) -> Distance:
    """Makes the distance of Kolmogorov and Smirnov, max_t |F(t) - G(t)|.

    Args:
        pool: (N + M,) the values of both samples, without NaN.
    """
    order = np.argsort(pool, kind="stable")
    # Between equal values the distribution functions don't exist.
    last = np.append(np.diff(pool[order]) > 0, True)

    def distance(members: np.ndarray) -> np.ndarray:
        steps = _weights(members)[:, order]
        return np.asarray(np.abs(np.cumsum(steps, axis=1)[:, last]).max(axis=1))

    return distance


def distance_of_levels(pool: np.ndarray) -> Distance:
    """Makes half the sum of differences of the levels' shares (the total variation).

    Args:
        pool: (N + M,) the levels of both samples.
    """
    levels, index = np.unique(pool, return_inverse=True)
    which = np.eye(len(levels))[index]

    def distance(members: np.ndarray) -> np.ndarray:
        return np.asarray(0.5 * np.abs(_weights(members) @ which).sum(axis=1))

    return distance


def adjusted_p_values(
    distances: list[Distance],
    first: int,
    second: int,
    rounds: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Tests several columns of two samples, with p-values that hold for all of them.

    Each distance is measured in standard deviations above its mean over permutations, so
    that columns of many levels compare with numbers. A p-value is the share of
    permutations in which the largest of all columns is at least as large. P(any of them
    <= alpha) is at most alpha if nothing has changed.

    Args:
        distances: of each of C columns.
        first: N, rows of the first sample.
        second: M, rows of the second sample.
        rounds: R, permutations.
        random: where they come from.

    Returns:
        differences: (C,) distances of the samples as they are.
        p_values: (C,), adjusted.

    Source: Westfall, Young 1993, "Resampling-based multiple testing", section 2.6.
    """
    count = first + second
    found = [_all(distances, np.arange(count)[None, :] < first)]
    for start in range(0, rounds, BLOCK):
        some = min(BLOCK, rounds - start)
        found.append(_all(distances, permutations(count, first, some, random)))
    every = np.concatenate(found)
    # The samples as they are count too: then all rows are exchangeable.
    unit = np.maximum(every.std(axis=0), 1e-12)
    scaled = (every - every.mean(axis=0)) / unit
    largest = scaled[1:].max(axis=1)[:, None]
    above = (largest >= scaled[0] - 1e-9).sum(axis=0)
    return every[0], (1.0 + above) / (rounds + 1.0)


def _all(distances: list[Distance], members: np.ndarray) -> np.ndarray:
    return np.stack([distance(members) for distance in distances], axis=1)


def _weights(members: np.ndarray) -> np.ndarray:
    n = members[0].sum()
    return np.where(members, 1.0 / n, -1.0 / (members.shape[1] - n))
