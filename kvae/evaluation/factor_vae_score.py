"""The score of the FactorVAE paper."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_number, check_seed
from kvae.evaluation.factors import check_factors


def factor_vae_score(
    latents: Any,
    factors: Any,
    *,
    num_votes: int = 800,
    batch_size: int = 64,
    min_variance: float = 0.01,
    seed: int = 0,
) -> float:
    """Scores whether the latent that varies least tells which factor is held fixed.

    A vote fixes one factor at one level, takes examples with this level, and names the
    latent with the smallest share of its overall variance. Half of the votes make a
    table of majorities; the score is the accuracy of this table on the other half.

    Args:
        latents: (N, D) representation.
        factors: (N, F) integer levels; every combination should occur about as often.
        num_votes: for the table, and again for its test.
        batch_size: examples per vote, drawn with replacement.
        min_variance: latents that vary less are collapsed and do not take part. The
            default suits posterior means under N(0, 1) and is that of `latent_usage`;
            for a representation with another scale, pass 0, which only leaves out
            constants.
        seed: of the votes.

    Returns:
        score: about 1/F by chance, 1 if each factor has latents of its own.

    Raises:
        ValueError: if the arguments do not fit.

    Source: Kim, Mnih 2018, arXiv:1802.05983, section 4.
    """
    check_count("num_votes", num_votes)
    check_count("batch_size", batch_size)
    min_variance = check_number("min_variance", min_variance, 0)
    seed = check_seed(seed)
    latents, factors, _ = check_factors(latents, factors)
    variance = latents.var(axis=0)
    used = variance > max(
        min_variance, 1e-12 * variance.max()
    )  # rounding errors don't count as variance
    num_factors = factors.shape[1]
    if not used.any():
        return 1.0 / num_factors
    latents, variance = latents[:, used], variance[used]
    rng = np.random.default_rng(seed)
    members = [
        [np.flatnonzero(column == level) for level in range(column.max() + 1)]
        for column in factors.T
    ]
    table = np.zeros((2, latents.shape[1], num_factors), int)
    for half in (0, 1):
        for _ in range(num_votes):
            factor = rng.integers(num_factors)
            fixed = members[factor][rng.integers(len(members[factor]))]
            batch = latents[rng.choice(fixed, batch_size)]
            table[half, (batch.var(axis=0) / variance).argmin(), factor] += 1
    majority = table[0].argmax(axis=1)
    right = table[1, np.arange(len(majority)), majority].sum()
    return float(right / num_votes)
