"""Finds out what a column of a data frame holds."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import numpy as np

from kvae.tables.column import KINDS, Column, pandas

MOST_LEVELS = 1000
"""More levels than this are text, of which a model can't learn."""

_FEW = 20  # different numbers at most that count as levels, ...
_ROWS_PER_LEVEL = 20  # ... if each has about so many rows
_COMMON = 0.1  # share of the rows at which one number is a level of its own
_MOST_COMMON = 4  # such numbers
_SMALL_COUNT = 10.0  # mean at most of counts that a negative binomial describes
_FAR = 0.2  # spreads between a quantile and that of a normal where they differ
_KNOTS = 100  # by rank, and as many by score, where the tails are
_DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d", "%d.%m.%Y")


def find_column(values: Any, kind: str | None = None, measured: Any = None) -> Column:
    """Finds what a column holds, and measures it.

    Args:
        values: a pandas Series.
        kind: one of `KINDS`, instead of the one found.
        measured: the rows of it that quantiles are measured on; all if None.

    Returns:
        column: with the reason for its kind.

    Raises:
        ValueError: for text with too many levels, objects, or a kind that the values
            are not of, with the way out.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(
            f"the kind of column {values.name!r} must be one of {', '.join(KINDS)}; "
            f"received {kind!r}."
        )
    seen = values if measured is None else measured
    share = float(seen.isna().mean())
    if (
        0 == share < float(values.isna().mean())
    ):  # only rows that are held out have some
        share = float(values.isna().mean())
    column = Column(_plain(values.name), "empty", str(values.dtype), missing=share)
    if column.dtype == "category":
        column = dataclasses.replace(
            column,
            categories=tuple(map(_plain, values.cat.categories)),
            ordered=bool(values.cat.ordered),
        )
    present = values.dropna()
    if kind == "ignored":
        return dataclasses.replace(column, kind=kind, why="as told")
    if len(present) == 0:
        return dataclasses.replace(column, why="every value is missing")
    levels = _levels(present)
    found, why = (kind, "as told") if kind else _kind(column, present, levels)
    column = dataclasses.replace(column, kind=found, why=why)
    if found in ("constant", "binary", "category"):
        _check_levels(column, levels, len(present), told=kind is not None)
        return dataclasses.replace(column, levels=levels)
    if found == "date":
        column = _with_date_format(column, present)
    return _measure(column, present, seen.dropna())


def _kind(column: Column, values: Any, levels: tuple[Any, ...]) -> tuple[str, str]:
    """Returns the kind of values of which none is missing, and why."""
    pd = pandas()
    if len(levels) == 1:
        return "constant", f"every value is {levels[0]!r}"
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "date", "its dtype"
    if len(levels) == 2:
        return "binary", f"two values, {levels[0]!r} and {levels[1]!r}"
    if column.dtype == "category":
        return "category", "its dtype"
    if not _are_numbers(values):
        if (form := _date_format(values)) is not None:
            return "date", f"text like {form}"
        return "category", "text"
    numbers = values.to_numpy("float64")
    if len(levels) <= _FEW and len(values) >= _ROWS_PER_LEVEL * len(levels):
        return "category", "few different numbers"
    whole = bool((numbers == np.round(numbers)).all())
    if whole and _are_counts(numbers):
        return "count", f"small whole numbers from 0, {numbers.mean():.2g} on average"
    return "number", "whole numbers" if whole else "numbers"


def _are_numbers(values: Any) -> bool:
    pd = pandas()
    if pd.api.types.is_numeric_dtype(values.dtype):
        return True
    if values.dtype != object:
        return False
    held = pd.api.types.infer_dtype(values)
    if held in ("string", "boolean"):
        return False
    if held in ("integer", "floating", "mixed-integer-float", "decimal"):
        return True
    raise ValueError(
        f"column {values.name!r} holds objects ({held}); a model takes numbers, text, "
        "booleans, categories, and dates. Convert it, for example with "
        f"frame[{values.name!r}].astype(str), or pandas.to_datetime for dates."
    )


def _are_counts(numbers: np.ndarray) -> bool:
    low, high, mean = numbers.min(), numbers.max(), numbers.mean()
    no_level = all(np.mean(numbers == v) < 0.5 for v in (0, low))
    return bool(low == 0 and mean <= _SMALL_COUNT and high <= 20 * mean and no_level)


def _levels(values: Any) -> tuple[Any, ...]:
    """Lists the different values: in the order of a Categorical, otherwise sorted."""
    if str(values.dtype) == "category":
        used = set(values.unique())
        return tuple(_plain(v) for v in values.cat.categories if v in used)
    try:
        found = [_plain(v) for v in values.unique()]
    except TypeError:
        raise ValueError(
            f"column {values.name!r} holds objects such as {values.iloc[0]!r}; a model "
            "takes numbers, text, booleans, categories, and dates. Leave it out: "
            f"frame.drop(columns={values.name!r})."
        ) from None
    try:
        return tuple(sorted(found))
    except TypeError:
        return tuple(sorted(found, key=lambda v: (type(v).__name__, str(v))))


def _check_levels(
    column: Column, levels: tuple[Any, ...], rows: int, told: bool
) -> None:
    if column.kind == "constant" and len(levels) > 1:
        raise ValueError(
            f"column {column.name!r} is not constant: it has {len(levels)} values."
        )
    if column.kind == "binary" and len(levels) != 2:
        raise ValueError(
            f"column {column.name!r} is not binary: it has {len(levels)} values."
        )
    many = len(levels) > MOST_LEVELS or (len(levels) > _FEW and 2 * len(levels) > rows)
    if many and not told and column.dtype != "category":
        raise TooManyLevels(column.name, len(levels), rows)
    odd = [v for v in levels if not isinstance(v, (str, int, float, bool))]
    if odd:
        raise ValueError(
            f"column {column.name!r} has levels such as {odd[0]!r} of type "
            f"{type(odd[0]).__name__}; make them text: "
            f"frame[{column.name!r}].astype(str)."
        )


class TooManyLevels(ValueError):
    """A column of text in which hardly any value comes twice.

    Args:
        name: of the column.
        levels: how many different texts it holds.
        rows: how many rows have one.
        advice: how to leave it out, or keep it; for Python if None.
    """

    def __init__(
        self, name: Any, levels: int, rows: int, advice: str | None = None
    ) -> None:
        self.parts = (name, levels, rows)
        if advice is None:
            advice = (
                f"Leave it out with frame.drop(columns={name!r}), or keep it with "
                f"kvae.tables.Schema.of(frame, kinds={{{name!r}: 'category'}})."
            )
        super().__init__(
            f"column {name!r} holds {levels} different texts in {rows} rows, too many "
            f"to learn from: {advice}"
        )


def _with_date_format(column: Column, values: Any) -> Column:
    pd = pandas()
    form = None
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        form = _date_format(values)
        if form is None:
            raise ValueError(
                f"column {column.name!r} does not hold dates: {values.iloc[0]!r}. "
                "Convert it with pandas.to_datetime."
            )
    column = dataclasses.replace(column, date_format=form)
    seconds = column.numbers(values)
    days = bool((seconds % 86400 == 0).all())
    return dataclasses.replace(column, unit="days" if days else "seconds")


def _date_format(values: Any) -> str | None:
    """Returns the format in which every text is a date, or None."""
    pd = pandas()
    for form in _DATES:
        few, every = values.iloc[:10], values
        for part in (few, every):  # few first, because text is seldom a date
            dates = pd.to_datetime(part.astype(str), format=form, errors="coerce")
            if dates.isna().any():
                break
        else:
            return form
    return None


def _measure(column: Column, present: Any, seen: Any) -> Column:
    """Measures range, decimals, common values and knots of a column of numbers."""
    numbers = column.numbers(present)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"column {column.name!r} holds infinite numbers. Remove those rows, or make "
            "them missing (numpy.nan)."
        )
    known = column.numbers(seen) if len(seen) else numbers
    column = dataclasses.replace(
        column,
        low=float(known.min()),
        high=float(known.max()),
        decimals=_decimals(numbers),
    )
    if column.kind == "count":
        if (numbers < 0).any() or column.decimals != 0:
            raise ValueError(
                f"column {column.name!r} is told to be a count, and holds "
                f"{numbers.min():g} to {numbers.max():g}; counts are 0, 1, 2, ..."
            )
        return column
    value, rows = np.unique(known, return_counts=True)
    most = np.argsort(-rows, kind="stable")[:_MOST_COMMON]
    common = value[most][rows[most] >= _COMMON * len(known)]
    if len(value) - len(common) < 2:  # too few others for a distribution
        common = common[: max(0, len(value) - 2)]
    column = dataclasses.replace(column, common=tuple(map(float, np.sort(common))))
    knots, scores, how = _transform(column.measured(known))
    share = f", {len(common)} of them common" if len(common) else ""
    return dataclasses.replace(
        column, knots=knots, scores=scores, why=f"{column.why}{share}; {how}"
    )


def _decimals(numbers: np.ndarray) -> int | None:
    """Returns how many decimals all numbers have, or None if they have many."""
    few = numbers[:100_000]
    for decimals in range(7):
        if np.allclose(np.round(few, decimals), few, rtol=1e-12, atol=0):
            return decimals
    return None


def _transform(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """Chooses a transformation to scores around 0 with a spread of 1, and says why.

    Returns:
        knots: values, increasing.
        scores: of the knots.
        why: in words.
    """
    loc, scale = float(x.mean()), float(x.std())
    scale = scale if scale > 0 else abs(loc) or 1.0
    normal = statistics.NormalDist()
    ranks = np.arange(1, 100) / 100
    scores = np.array([normal.inv_cdf(p) for p in ranks])
    gaps = np.abs((np.quantile(x, ranks) - loc) / scale - scores)
    ends = np.abs(np.array([x.min(), x.max()]) - loc).max() / scale
    if len(np.unique(x)) < 3:
        return (loc, loc + scale), (0.0, 1.0), "standardized"
    if gaps.max() <= _FAR and ends <= 6:
        return (loc, loc + scale), (0.0, 1.0), "standardized, close to normal"
    skew = float(np.mean(((x - loc) / scale) ** 3))
    why = "heavy tails" if ends > 6 else "skewed" if abs(skew) > 1 else "not normal"
    return (*_quantile_knots(x), f"by quantiles, {why}")


def _quantile_knots(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Makes the knots of x -> inverse normal CDF of its rank; equal values share one."""
    normal = statistics.NormalDist()
    values, counts = np.unique(x, return_counts=True)
    middle = (np.cumsum(counts) - 0.5 * counts) / len(x)
    if len(values) > 2 * _KNOTS:
        end = normal.inv_cdf(middle[0]), normal.inv_cdf(middle[-1])
        by_score = [normal.cdf(z) for z in np.linspace(*end, _KNOTS)]
        wanted = np.concatenate([by_score, np.linspace(middle[0], middle[-1], _KNOTS)])
        at = np.unique(np.searchsorted(middle, wanted).clip(0, len(values) - 1))
        values, middle = values[at], middle[at]
    return tuple(map(float, values)), tuple(normal.inv_cdf(p) for p in middle)


def _plain(value: Any) -> Any:
    """Turns a NumPy value into one of Python, as JSON takes it."""
    return value.item() if isinstance(value, np.generic) else value
