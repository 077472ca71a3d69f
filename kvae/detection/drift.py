"""Whether a new batch comes from the same distribution as reference data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_seed
from kvae.detection.rows import take
from kvae.evaluation.examples import prepare
from kvae.evaluation.mmd import squared_distances
from kvae.evaluation.result import Result

_ROWS = 2000  # of each sample in the joint test, whose kernel matrix holds (2 * 2000)^2
_BLOCK = 64  # permutations at once


@dataclasses.dataclass(frozen=True)
class DriftResult(Result):
    """A two-sample test of new data against reference data, in the latents.

    Attributes:
        p_value: over all, twice the smaller of the p-value of all latents together and
            the smallest one of single latents; small if the new data are distributed
            differently.
        joint_p_value: of all latents together.
        statistic: the squared maximum mean discrepancy that it belongs to.
        num_drifted: latents whose adjusted p-value is at most 0.05.
        most_drifted: the latent with the largest difference.
        num_reference: reference examples.
        num_new: new examples.
        num_permutations: R; the smallest p-value is 1 / (R + 1).
        verdict: in words.
        p_values: (D,) of each latent, adjusted for the number of latents.
        differences: (D,) the largest difference between the two distribution functions
            of each latent, from 0 to 1.
        reference: (N, D) posterior means of the reference data.
        new: (M, D) posterior means of the new data.
    """

    p_value: float
    joint_p_value: float
    statistic: float
    num_drifted: int
    most_drifted: int
    num_reference: int
    num_new: int
    num_permutations: int
    verdict: str
    p_values: np.ndarray
    differences: np.ndarray
    reference: np.ndarray
    new: np.ndarray


def drift(
    vae: Any, x_reference: Any, x_new: Any, num_permutations: int = 999, seed: int = 0
) -> DriftResult:
    """Tests whether new data are distributed like reference data.

        all latents:  mmd^2 = mean_ij w_i w_j k(m_i, m_j),  k Gaussian, median distance
        latent d:     ks_d = max_t |F_reference(t) - F_new(t)|

    The statistics are those of posterior means. Their p-values come from permutations
    that exchange reference and new examples, which are exact for samples of any size:
    P(p <= alpha) is at most alpha if both are drawn alike. Those of single latents are
    adjusted for their number: each compares with the largest ks of all latents in a
    permutation (Westfall, Young).

    Take reference data that the model was not trained on if you have them: a model that
    overfits encodes its training data a little differently, which is drift of its own.

    Args:
        vae: a trained `kvae.VAE`.
        x_reference: (N, *data_shape), or a dict with "x" and optionally "condition" and
            "mask".
        x_new: (M, *data_shape), in the same form.
        num_permutations: R.
        seed: of the permutations, and of the choice of 2000 rows of larger data for the
            test of all latents together.

    Returns:
        result: p-values, differences, and a verdict in words.

    Raises:
        ValueError: if the data don't fit the model, or a sample has fewer than 10
            examples.

    Source: Gretton et al. 2012, "A kernel two-sample test", section 5; Rabanser et al.
        2019, arXiv:1810.11953, for tests on latents.
    """
    rounds = check_count("num_permutations", num_permutations, 19)
    random = np.random.default_rng(check_seed(seed))
    samples = []
    for name, x in (("x_reference", x_reference), ("x_new", x_new)):
        inputs = prepare(vae, x)
        if len(inputs.x) < 10:
            raise ValueError(
                f"drift needs at least 10 examples in each sample; {name} has "
                f"{len(inputs.x)}."
            )
        means = np.asarray(vae.embed(take(inputs, slice(None)).to_keras()), "float64")
        samples.append(means.reshape(len(means), -1))
    reference, new = samples
    differences, p_values = _each_latent(reference, new, rounds, random)
    few = [_some(sample, random) for sample in samples]
    statistic, joint = _all_latents(few[0], few[1], rounds, random)
    p_value = min(1.0, 2.0 * min(joint, float(p_values.min())))
    drifted, most = int((p_values <= 0.05).sum()), int(np.argmax(differences))
    return DriftResult(
        p_value=p_value,
        joint_p_value=joint,
        statistic=statistic,
        num_drifted=drifted,
        most_drifted=most,
        num_reference=len(reference),
        num_new=len(new),
        num_permutations=rounds,
        verdict=_verdict(p_value, drifted, most, differences, rounds),
        p_values=p_values,
        differences=differences,
        reference=reference,
        new=new,
    )


def _verdict(
    p_value: float, drifted: int, most: int, differences: np.ndarray, rounds: int
) -> str:
    if p_value > 0.05:
        return f"the new data look like the reference data (p = {p_value:.2g})."
    sign = "<=" if p_value <= 2.0 / (rounds + 1) else "="
    return (
        f"the new data are distributed differently (p {sign} {p_value:.2g}): {drifted} of "
        f"{len(differences)} latents differ at the 5 % level, most of all z[{most}], whose "
        f"distribution functions are {differences[most]:.2f} apart."
    )


def _some(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if len(rows) <= _ROWS:
        return rows
    return rows[random.choice(len(rows), _ROWS, replace=False)]


def _permutations(
    count: int, first: int, rounds: int, random: np.random.Generator
) -> np.ndarray:
    """Random choices of `first` members among `count`: (rounds, count) booleans."""
    ranks = random.random((rounds, count))
    limit = np.partition(ranks, first - 1, axis=1)[:, first - 1 : first]
    return ranks <= limit


def _each_latent(
    reference: np.ndarray, new: np.ndarray, rounds: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The ks of each latent, and its p-value against the largest of permutations."""
    pool = np.concatenate([reference, new])
    order = np.argsort(pool, axis=0, kind="stable")
    ordered = np.take_along_axis(pool, order, axis=0)
    # Between equal values the distribution functions don't exist.
    last = np.concatenate([np.diff(ordered, axis=0) > 0, np.ones_like(ordered[:1]) > 0])
    n, m = len(reference), len(new)

    def largest(members: np.ndarray) -> np.ndarray:
        # (R, N + M) booleans give (R, D); one latent at a time, to bound the memory.
        steps = np.where(members, 1.0 / n, -1.0 / m)
        return np.stack(
            [
                np.abs(np.cumsum(steps[:, order[:, d]], axis=1)[:, last[:, d]]).max(1)
                for d in range(pool.shape[1])
            ],
            axis=1,
        )

    own = largest(np.arange(n + m)[None, :] < n)[0]
    above = np.zeros(len(own))
    for start in range(0, rounds, _BLOCK):
        some = min(_BLOCK, rounds - start)
        ks = largest(_permutations(n + m, n, some, random))
        above += (ks.max(axis=1)[:, None] >= own - 1e-12).sum(axis=0)
    return own, (1.0 + above) / (rounds + 1.0)


def _all_latents(
    reference: np.ndarray, new: np.ndarray, rounds: int, random: np.random.Generator
) -> tuple[float, float]:
    """The squared discrepancy of all latents together, and its p-value."""
    pool = np.concatenate([reference, new])
    pool = pool / np.maximum(pool.std(axis=0), 1e-12)
    squares = squared_distances(pool, pool)
    width = np.median(squares[np.triu_indices(len(pool), 1)])
    kernel = np.exp(-squares / max(width, 1e-12))
    n, m = len(reference), len(new)

    def discrepancy(members: np.ndarray) -> np.ndarray:
        weights = np.where(members, 1.0 / n, -1.0 / m)
        return np.asarray(((weights @ kernel) * weights).sum(axis=1))

    own = float(discrepancy(np.arange(n + m)[None, :] < n)[0])
    above = 0
    for start in range(0, rounds, _BLOCK):
        some = min(_BLOCK, rounds - start)
        found = discrepancy(_permutations(n + m, n, some, random))
        above += int((found >= own - 1e-12).sum())
    return own, (1.0 + above) / (rounds + 1.0)
