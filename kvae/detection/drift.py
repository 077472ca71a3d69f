"""Whether a new batch comes from the same distribution as reference data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.inputs import Inputs
from kvae.detection.rows import take, without_unseen
from kvae.detection.two_sample import (
    BLOCK,
    adjusted_p_values,
    distance_of_levels,
    distance_of_numbers,
    permutations,
)
from kvae.evaluation.examples import prepare
from kvae.evaluation.mmd import squared_distances
from kvae.evaluation.result import Result
from kvae.tables import Schema

_COLUMN_ROWS = 5000  # of each sample in the tests of columns
_ROWS = 2000  # of each sample in the joint test, whose kernel matrix holds (2 * 2000)^2


@dataclasses.dataclass(frozen=True)
class DriftResult(Result):
    """A two-sample test of new data against reference data, in the latents.

    Attributes:
        p_value: over all, twice the smaller of the p-value of all latents together and
            the smallest one of single latents; for a table, three times the smallest of
            these and of the p-values of columns. Small if the new data are distributed
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
        column_p_values: of each column of a table by name, adjusted for the number of
            columns, the smallest first; None for other data.
        column_differences: by name, from 0 to 1: the largest difference between the two
            distribution functions, or half the sum of differences of levels' shares.
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
    column_p_values: dict[str, float] | None = None
    column_differences: dict[str, float] | None = None


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

    If the model is one of a table, each of its columns is tested too. A missing value,
    and a level that the data of the model didn't have, count as values of their own.

    Take reference data that the model was not trained on if you have them: a model that
    overfits encodes its training data a little differently, which is drift of its own.

    Args:
        vae: a trained `kvae.VAE`.
        x_reference: (N, *data_shape), or a dict with "x" and optionally "condition" and
            "mask".
        x_new: (M, *data_shape), in the same form.
        num_permutations: R.
        seed: of the permutations, and of the choice of 2000 rows of larger data for the
            test of all latents together, and of 5000 for those of columns.

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
    samples, given = [], []
    for name, x in (("x_reference", x_reference), ("x_new", x_new)):
        check_vae(vae)
        inputs = prepare(vae, without_unseen(vae.schema, x)[0])
        given.append(inputs)
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
    tests, smallest = 2.0, min(joint, float(p_values.min()))
    of_columns: dict[str, float] | None = None
    apart: dict[str, float] | None = None
    if vae.schema is not None:
        apart, of_columns = _each_column(vae.schema, given[0], given[1], rounds, random)
        tests, smallest = 3.0, min(smallest, *of_columns.values())
    p_value = min(1.0, tests * smallest)
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
        verdict=_verdict(p_value, drifted, most, differences, tests / (rounds + 1))
        + _of_columns(of_columns, apart),
        p_values=p_values,
        differences=differences,
        reference=reference,
        new=new,
        column_p_values=of_columns,
        column_differences=apart,
    )


def _verdict(
    p_value: float, drifted: int, most: int, differences: np.ndarray, least: float
) -> str:
    if p_value > 0.05:
        return f"the new data look like the reference data (p = {p_value:.2g})."
    sign = "<=" if p_value <= least else "="
    return (
        f"the new data are distributed differently (p {sign} {p_value:.2g}): {drifted} of "
        f"{len(differences)} latents differ at the 5 % level, most of all z[{most}], whose "
        f"distribution functions are {differences[most]:.2f} apart."
    )


def _of_columns(
    p_values: dict[str, float] | None, differences: dict[str, float] | None
) -> str:
    """Names the columns that differ, the most unlikely ones first."""
    if p_values is None or differences is None:
        return ""
    names = [name for name, p in p_values.items() if p <= 0.05]
    if not names:
        return f" None of the {len(p_values)} columns differs at the 5 % level."
    shown = ", ".join(f"{name} ({differences[name]:.2f})" for name in names[:5])
    more = ", ..." if len(names) > 5 else ""
    return (
        f" {len(names)} of {len(p_values)} columns "
        f"{'differs' if len(names) == 1 else 'differ'} at the 5 % level, by how far apart "
        f"their distributions are: {shown}{more}."
    )


def _some(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if len(rows) <= _ROWS:
        return rows
    return rows[random.choice(len(rows), _ROWS, replace=False)]


def _each_latent(
    reference: np.ndarray, new: np.ndarray, rounds: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The ks of each latent, and its p-value against the largest of permutations."""
    pool = np.concatenate([reference, new])
    distances = [distance_of_numbers(column) for column in pool.T]
    n, m = len(reference), len(new)
    own = np.concatenate([d(np.arange(n + m)[None, :] < n) for d in distances])
    above = np.zeros(len(own))
    for start in range(0, rounds, BLOCK):
        members = permutations(n + m, n, min(BLOCK, rounds - start), random)
        largest = np.max([distance(members) for distance in distances], axis=0)
        above += (largest[:, None] >= own - 1e-12).sum(axis=0)
    return own, (1.0 + above) / (rounds + 1.0)


def _each_column(
    schema: Schema,
    reference: Inputs,
    new: Inputs,
    rounds: int,
    random: np.random.Generator,
) -> tuple[dict[str, float], dict[str, float]]:
    """Differences and adjusted p-values by column, the smallest p-value first."""
    columns, distances = schema.modeled(), []
    samples = []
    for inputs in (reference, new):
        x = np.asarray(inputs.x, "float64")
        mask = None if inputs.mask is None else np.asarray(inputs.mask)
        rows = np.arange(len(x))
        if len(rows) > _COLUMN_ROWS:
            rows = random.choice(len(rows), _COLUMN_ROWS, replace=False)
        hidden = np.zeros_like(x, bool) if mask is None else mask == 0
        numbers = np.where(hidden, np.nan, x)[rows]
        samples.append([c.in_order(p) for c, p in schema.parts(numbers)])
    for column, a, b in zip(columns, *samples, strict=True):
        levels = column.kind in ("binary", "category")
        distance = distance_of_levels if levels else distance_of_numbers
        distances.append(distance(np.concatenate([a, b])))
    n, m = (len(sample[0]) for sample in samples)
    found, p_values = adjusted_p_values(distances, n, m, rounds, random)
    order = np.lexsort([-found, p_values])
    names = [str(columns[i].name) for i in order]
    return (
        dict(zip(names, found[order].tolist(), strict=True)),
        dict(zip(names, p_values[order].tolist(), strict=True)),
    )


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
    for start in range(0, rounds, BLOCK):
        some = min(BLOCK, rounds - start)
        found = discrepancy(permutations(n + m, n, some, random))
        above += int((found >= own - 1e-12).sum())
    return own, (1.0 + above) / (rounds + 1.0)
