"""Precision, recall, density and coverage: quality and variety of samples, apart."""

from __future__ import annotations

import dataclasses

import numpy as np

from kvae.core.checks import check_count
from kvae.evaluation.frechet import check_pair
from kvae.evaluation.mmd import squared_distances
from kvae.evaluation.result import Result

_ROWS = 1024


@dataclasses.dataclass(frozen=True)
class NeighborScores(Result):
    """How much two clouds of features overlap.

    Attributes:
        precision: share of samples that lie within the data: quality.
        recall: share of data that lie within the samples: variety.
        density: how deep in the data the samples lie; 1 in expectation for samples from
            the data's own law, and more where they crowd its dense parts.
        coverage: share of data with a sample in their neighborhood.
        num_neighbors: k.
        num_real: examples of the data.
        num_fake: samples.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    num_neighbors: int
    num_real: int
    num_fake: int


def neighbor_scores(
    real: np.ndarray, fake: np.ndarray, num_neighbors: int = 5
) -> NeighborScores:
    """Compares samples with data by nearest neighbors.

        ball(i)   = all points as near to point i as its k-th neighbor in its own set
        precision = mean_j [ fake_j in the ball of some real_i ]
        recall    = mean_i [ real_i in the ball of some fake_j ]
        density   = mean_j #{ i : fake_j in the ball of real_i } / k
        coverage  = mean_i [ some fake_j in the ball of real_i ]

    Args:
        real: (N, F) features of the data.
        fake: (M, F) features of the samples.
        num_neighbors: k, less than N and M.

    Returns:
        scores: each from 0 to 1, except density, which has no upper limit.

    Raises:
        ValueError: if the shapes do not fit or there are too few examples.

    Source: Kynkaanniemi et al. 2019, arXiv:1904.06991 (precision, recall); Naeem et al.
        2020, arXiv:2002.09797 (density, coverage).
    """
    num_neighbors = check_count("num_neighbors", num_neighbors)
    real, fake = check_pair(real, fake, least=num_neighbors + 1)
    real_radius, fake_radius = (_radii(s, num_neighbors) for s in (real, fake))
    hits = np.zeros(len(fake))
    recalled, covered = np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(real), _ROWS):
        rows = slice(start, start + _ROWS)
        squares = squared_distances(real[rows], fake)
        inside = squares <= real_radius[rows, None]
        hits += inside.sum(0)
        covered[rows] = inside.any(1)
        recalled[rows] = (squares <= fake_radius[None, :]).any(1)
    return NeighborScores(
        precision=float((hits > 0).mean()),
        recall=float(recalled.mean()),
        density=float(hits.mean() / num_neighbors),
        coverage=float(covered.mean()),
        num_neighbors=num_neighbors,
        num_real=len(real),
        num_fake=len(fake),
    )


def _radii(points: np.ndarray, k: int) -> np.ndarray:
    # squared distance of each point to its k-th neighbor, itself not counted
    radii = []
    for start in range(0, len(points), _ROWS):
        tile = points[start : start + _ROWS]
        squares = squared_distances(tile, points)
        squares[np.arange(len(tile)), start + np.arange(len(tile))] = np.inf
        radii.append(np.partition(squares, k - 1, axis=1)[:, k - 1])
    return np.concatenate(radii)
