"""The kernel distance between two samples."""

from __future__ import annotations

import numpy as np

from kvae.core.checks import check_count, check_seed
from kvae.evaluation.frechet import check_pair
from kvae.evaluation.result import Estimate


def kernel_distance(
    a: np.ndarray, b: np.ndarray, *, num_blocks: int = 10, seed: int = 0
) -> Estimate:
    """Estimates the squared maximum mean discrepancy with a cubic kernel, without bias.

        k(u, v) = (u.v / F + 1)^3
        distance = mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j)
                   - 2 mean k(a_i, b_j)

    The samples are split into disjoint random blocks; value and standard error are
    those of the mean over blocks. Unlike the Frechet distance it has no bias that
    depends on the number of examples.

    Args:
        a: (N, F) features.
        b: (M, F) features.
        num_blocks: how many blocks.
        seed: of the split into blocks.

    Returns:
        distance: 0 in expectation if both come from one law; it can be negative.

    Raises:
        ValueError: if the shapes do not fit or there are fewer than 2 examples a block.

    Source: Binkowski et al. 2018, arXiv:1801.01401.
    """
    check_count("num_blocks", num_blocks)
    a, b = check_pair(a, b, least=2 * num_blocks)
    rng = np.random.default_rng(check_seed(seed))
    size = min(len(a), len(b)) // num_blocks
    pieces = [
        s[rng.permutation(len(s))[: size * num_blocks]].reshape(num_blocks, size, -1)
        for s in (a, b)
    ]
    return Estimate.mean_of(
        np.array([_block(u, v) for u, v in zip(*pieces, strict=True)])
    )


def _block(a: np.ndarray, b: np.ndarray) -> float:
    num, width = a.shape
    inside = 0.0
    for s in (a, b):
        kernel = (s @ s.T / width + 1.0) ** 3
        inside += (kernel.sum() - np.trace(kernel)) / (num * (num - 1))
    across = ((a @ b.T / width + 1.0) ** 3).mean()
    return float(inside - 2.0 * across)
