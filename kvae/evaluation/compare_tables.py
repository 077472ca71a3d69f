"""How far a synthetic table is from a real one, column by column and pair by pair."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

from kvae.core.checks import check_seed
from kvae.evaluation.result import Result
from kvae.tables import Schema
from kvae.tables.column import Column
from kvae.tables.schema import as_frame, check_schema

_ROWS = 10_000  # compared at most, from each table
_NUMBERS = ("number", "count", "date")


@dataclasses.dataclass(frozen=True)
class TableComparison(Result):
    """How two tables differ; every number is 0 if they don't, and at most 1.

    Attributes:
        mean_distance: mean of `distances`.
        worst_column: the column with the largest distance.
        worst_distance: of that column.
        mean_pair_difference: mean absolute difference of the associations of pairs.
        worst_pair: the pair with the largest difference.
        worst_pair_difference: of that pair.
        num_real: rows of the real table.
        num_synthetic: rows of the synthetic table.
        names: of the columns.
        distances: (C,) of each column: the Kolmogorov-Smirnov distance of numbers, the
            total variation of levels. Missing values count as a level.
        associations: (C, C) in the real table: the absolute rank correlation of
            numbers, the correlation ratio of a number and levels, Cramer's V of levels.
        synthetic_associations: (C, C) in the synthetic table.
    """

    mean_distance: float
    worst_column: str
    worst_distance: float
    mean_pair_difference: float
    worst_pair: str
    worst_pair_difference: float
    num_real: int
    num_synthetic: int
    names: np.ndarray
    distances: np.ndarray
    associations: np.ndarray
    synthetic_associations: np.ndarray


def compare_tables(
    real: Any, synthetic: Any, schema: Schema | None = None, seed: int = 0
) -> TableComparison:
    """Compares the marginals and the pair associations of two tables.

    Associations of independent columns are not 0 in a finite table, so both are measured
    on as many rows. To see what chance alone makes, compare two halves of the real table.

    Args:
        real: a data frame.
        synthetic: a data frame with the same columns.
        schema: of both; found in `real` if None.
        seed: of the rows that are left out of the larger table.

    Returns:
        comparison: prints as a table.

    Raises:
        ValueError: if a column is missing or holds what the real one doesn't.
    """
    check_seed(seed)
    real, synthetic = as_frame(real), as_frame(synthetic)
    schema = check_schema(schema) or Schema.of(real)
    columns = [c for c in schema.columns if c.kind not in ("ignored", "empty")]
    num = min(len(real), len(synthetic), _ROWS)
    random = np.random.default_rng(seed)
    both = []
    for frame in (real, synthetic):
        schema.encode(frame[:1])  # names its columns if they are other ones
        rows = np.sort(random.permutation(len(frame))[:num])
        both.append([_values(c, frame[c.name].iloc[rows]) for c in columns])
    names = [str(column.name) for column in columns]
    distances = np.array(
        [
            _distance(column, first, second)
            for column, first, second in zip(columns, *both, strict=True)
        ]
    )
    tables = [_associations(columns, values) for values in both]
    upper = np.triu_indices(len(names), 1)
    gaps = np.abs(tables[0] - tables[1])[upper]
    worst, pair = int(np.argmax(distances)), int(np.argmax(gaps)) if len(gaps) else -1
    return TableComparison(
        mean_distance=float(distances.mean()),
        worst_column=names[worst],
        worst_distance=float(distances[worst]),
        mean_pair_difference=float(gaps.mean()) if len(gaps) else 0.0,
        worst_pair=" and ".join(names[i[pair]] for i in upper) if len(gaps) else "",
        worst_pair_difference=float(gaps[pair]) if len(gaps) else 0.0,
        num_real=len(real),
        num_synthetic=len(synthetic),
        names=np.array(names),
        distances=distances,
        associations=tables[0],
        synthetic_associations=tables[1],
    )


def _values(column: Column, values: Any) -> np.ndarray:
    """Returns numbers, or level numbers with missing ones as the last; (N,)."""
    if column.kind in _NUMBERS:
        return column.numbers(values)
    absent = values.isna().to_numpy()
    return np.where(absent, len(column.levels), column.level_numbers(values, absent))


def _distance(column: Column, first: np.ndarray, second: np.ndarray) -> float:
    if column.kind not in _NUMBERS:
        most = len(column.levels) + 1
        shares = [
            np.bincount(v.astype(int), minlength=most) / len(v) for v in (first, second)
        ]
        return float(0.5 * np.abs(shares[0] - shares[1]).sum())
    absent = [np.isnan(values) for values in (first, second)]
    missing = abs(absent[0].mean() - absent[1].mean())
    one, other = (np.sort(v[~a]) for v, a in zip((first, second), absent, strict=True))
    if not len(one) or not len(other):
        return float(missing if len(one) == len(other) else 1.0)
    points = np.concatenate([one, other])
    below = [np.searchsorted(v, points, side="right") / len(v) for v in (one, other)]
    return float(max(missing, np.abs(below[0] - below[1]).max()))


def _associations(columns: list[Column], values: list[np.ndarray]) -> np.ndarray:
    table = np.eye(len(columns))
    prepared = [
        _ranks(v) if column.kind in _NUMBERS else v.astype(int)
        for column, v in zip(columns, values, strict=True)
    ]
    for i, j in itertools.combinations(range(len(columns)), 2):
        numeric = [columns[k].kind in _NUMBERS for k in (i, j)]
        first, second = prepared[i], prepared[j]
        if all(numeric):
            found = abs(_correlation(first, second))
        elif any(numeric):
            number, levels = (first, second) if numeric[0] else (second, first)
            found = _correlation_ratio(number, levels)
        else:
            found = _cramers_v(first, second)
        table[i, j] = table[j, i] = found
    return table


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks with ties at their middle; a missing value gets the middle of all."""
    seen = ~np.isnan(values)
    ranks = np.full(len(values), 0.5 * (seen.sum() - 1))
    _, inverse, counts = np.unique(
        values[seen], return_inverse=True, return_counts=True
    )
    ranks[seen] = (np.cumsum(counts) - 0.5 * (counts + 1))[inverse]
    return ranks


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    scale = first.std() * second.std()
    if scale == 0:
        return 0.0
    return float(np.mean((first - first.mean()) * (second - second.mean())) / scale)


def _correlation_ratio(number: np.ndarray, levels: np.ndarray) -> float:
    counts = np.bincount(levels)
    means = np.bincount(levels, weights=number) / np.maximum(counts, 1)
    between = np.sum(counts * (means - number.mean()) ** 2)
    total = np.sum((number - number.mean()) ** 2)
    return float(np.sqrt(between / total)) if total > 0 else 0.0


def _cramers_v(first: np.ndarray, second: np.ndarray) -> float:
    counts = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(counts, (first, second), 1)
    counts = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    if min(counts.shape) < 2:
        return 0.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chi2 = np.sum((counts - expected) ** 2 / expected)
    return float(np.sqrt(chi2 / (counts.sum() * (min(counts.shape) - 1))))
