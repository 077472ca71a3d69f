"""One column of a data frame, and the numbers that a model sees for it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.extras import require

KINDS = (
    "number",
    "count",
    "binary",
    "category",
    "date",
    "constant",
    "empty",
    "ignored",
)
"""What a column can be."""

_BELOW_ALL = float(np.finfo("float32").min)
_SECONDS = {"days": 86400.0, "seconds": 1.0}


def pandas() -> Any:
    """Imports pandas.

    Raises:
        MissingExtra: if it is not installed, with the pip command.
    """
    return require("pandas", "kvae.tables", "tables")


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a data frame, and how it becomes columns of numbers.

    A number v becomes a score, by a line through `knots`:

        score = interpolate(v; knots -> scores)

    Two knots standardize it; many make it normal, whatever its distribution. Missing
    values get an indicator column of their own, and so do values that many rows share.
    The score of such a row is hidden, so that it doesn't count.

    Attributes:
        name: of the column in the frame.
        kind: one of `KINDS`.
        dtype: of pandas, by name.
        why: why it has this kind, in words.
        missing: share of the rows without a value.
        levels: of "binary" and "category", or the one value of "constant".
        categories: of a pandas Categorical, used or not; None for another dtype.
        ordered: whether that Categorical is ordered.
        knots: increasing numbers; dates are counted in `unit` since 1970.
        scores: of the knots, increasing.
        common: numbers that many rows share, each a level of its own.
        decimals: to which numbers are rounded; None keeps them as they are.
        low: the smallest number of the data, which samples don't go below.
        high: the largest number of the data.
        unit: of "date": "days" or "seconds".
        date_format: of dates that are text.
    """

    name: Any
    kind: str
    dtype: str = "float64"
    why: str = ""
    missing: float = 0.0
    levels: tuple[Any, ...] = ()
    categories: tuple[Any, ...] | None = None
    ordered: bool = False
    knots: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    common: tuple[float, ...] = ()
    decimals: int | None = None
    low: float = 0.0
    high: float = 0.0
    unit: str = "seconds"
    date_format: str | None = None

    def entries(self) -> list[dict[str, Any]]:
        """Describes its columns of numbers, as `likelihoods.Columns` takes them."""
        name, found = str(self.name), []
        if self.kind == "ignored":
            return []
        if self.missing and self.kind != "empty":
            found.append({"name": f"{name} is missing", "kind": "binary"})
        if self.common:
            found.append(_choice(f"{name} is common", 1 + len(self.common)))
        if self.kind in ("number", "date"):
            found.append({"name": name, "kind": "real"})
        elif self.kind == "count":
            found.append({"name": name, "kind": "count"})
        elif self.kind in ("binary", "category"):
            found.append(_choice(name, len(self.levels)))
        return found

    def encode(self, values: Any, hide_unseen: bool = False) -> np.ndarray:
        """Turns values into numbers.

        Args:
            values: a pandas Series of length N.
            hide_unseen: hide levels that the column didn't have, instead of raising.

        Returns:
            numbers: (N, entries) float64, NaN where an entry is hidden.

        Raises:
            ValueError: for a level that the column didn't have, or values of another
                kind.
        """
        absent = values.isna().to_numpy()
        parts = []
        if self.missing and self.kind not in ("empty", "ignored"):
            parts.append(absent.astype("float64"))
        if self.kind in ("binary", "category"):
            unknown = self.unseen(values) if hide_unseen else np.zeros_like(absent)
            hidden = absent | unknown
            parts.append(np.where(hidden, np.nan, self.level_numbers(values, hidden)))
        elif self.kind in ("number", "date", "count"):
            numbers = self.numbers(values)
            if self.common:
                hit = numbers[:, None] == np.array(self.common)
                state = np.where(hit.any(axis=1), 1.0 + hit.argmax(axis=1), 0.0)
                parts.append(np.where(absent, np.nan, state))
                numbers = np.where(hit.any(axis=1), np.nan, numbers)
            parts.append(self.scored(numbers))
        return np.stack(parts, axis=-1) if parts else np.zeros((len(values), 0))

    def decode(self, numbers: np.ndarray, with_missing: bool = True) -> Any:
        """Turns numbers back into values: a pandas Series with the dtype of the data.

        Args:
            numbers: (N, entries), as `encode` returns them, without NaN.
            with_missing: leave rows without a value where the indicator says so;
                otherwise every row gets one.
        """
        pd = pandas()
        columns = list(np.asarray(numbers, "float64").T)
        absent = np.zeros(len(numbers), bool)
        if self.missing and self.kind != "empty":
            absent = (columns.pop(0) > 0.5) & with_missing
        if self.kind == "empty":
            values = pd.Series([None] * len(numbers), dtype="object")
        elif self.kind == "constant":
            values = self._of_levels(np.zeros(len(numbers), int))
        elif self.kind in ("binary", "category"):
            values = self._of_levels(columns[0].astype(int))
        else:
            state = columns.pop(0).astype(int) if self.common else None
            found = columns[0]
            if self.kind != "count":
                found = _along(found, self.scores, self.knots)
            found = np.clip(found, self.low, self.high)
            if self.decimals is not None:
                found = np.round(found, self.decimals)
            if state is not None:
                usual = np.concatenate([[0.0], self.common])
                found = np.where(state > 0, usual[state], found)
            values = self._of_numbers(found)
        if absent.any():
            values = values.mask(absent)
        return self._with_dtype(values).rename(self.name)

    def parse(self, text: str) -> Any:
        """Reads a value that was typed.

        Raises:
            ValueError: if it is not a value of this column.
        """
        if self.kind in ("number", "count"):
            return float(text)
        if self.kind == "date" and self.date_format is None:
            return pandas().Timestamp(text)
        if self.kind == "date":
            return text
        known = {str(level): level for level in self.levels}
        if text not in known:
            raise ValueError(
                f"expected one of {', '.join(list(known)[:20])}; received {text!r}."
            )
        return known[text]

    def average(self, numbers: np.ndarray, num: int) -> Any:
        """Averages every `num` draws in a row: numbers by mean, levels by majority.

        Args:
            numbers: (N * num, entries), as `encode` returns them, without NaN.
            num: how many count as one.

        Returns:
            values: a Series of N, none missing.
        """
        if self.kind in ("binary", "category"):
            count, rows = len(self.levels), len(numbers) // num
            votes = numbers[:, -1].astype(int) + count * np.repeat(np.arange(rows), num)
            votes = np.bincount(votes, minlength=count * rows).reshape(rows, count)
            return self._with_dtype(self._of_levels(votes.argmax(axis=1)))
        values = self.decode(numbers, with_missing=False)
        if self.kind == "constant":
            return values.iloc[::num]
        means = self.numbers(values).reshape(-1, num).mean(axis=1)
        if self.decimals is not None:
            means = np.round(means, self.decimals)
        return self._with_dtype(self._of_numbers(means))

    def numbers(self, values: Any) -> np.ndarray:
        """Reads numbers and dates as float64, (N,), NaN where one is missing.

        Raises:
            ValueError: if there is something else.
        """
        pd = pandas()
        try:
            if self.kind != "date":
                return np.asarray(values.to_numpy("float64", na_value=np.nan))
            if self.date_format is not None:
                values = pd.to_datetime(values, format=self.date_format)
            elif getattr(values.dtype, "tz", None) is not None:
                values = values.dt.tz_localize(None)  # the time that the clock shows
            since = (values - pd.Timestamp(0)).dt.total_seconds()
            return np.asarray(since.to_numpy("float64")) / _SECONDS[self.unit]
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"column {self.name!r} must hold {self.kind}s, as the data of the model "
                f"did; received dtype={values.dtype} ({error})."
            ) from None

    def scored(self, numbers: np.ndarray) -> np.ndarray:
        """Turns numbers into scores; counts stay what they are."""
        if self.kind == "count":
            return numbers
        return _along(numbers, self.knots, self.scores)

    def in_order(self, numbers: np.ndarray) -> np.ndarray:
        """Turns the entries of each row into one number, to compare distributions.

        Args:
            numbers: (N, entries), as `encode` returns them, NaN where an entry is hidden.

        Returns:
            values: (N,) scores, or levels; a missing value is below all scores, and
                a level of its own, as are levels that the column didn't have.
        """
        entries = list(np.asarray(numbers, "float64").T)
        absent = np.zeros(len(numbers), bool)
        if self.missing and self.kind != "empty":
            absent = entries.pop(0) > 0.5
        values = entries.pop()
        if self.kind in ("binary", "category"):
            other = np.where(absent, len(self.levels), len(self.levels) + 1)
            return np.where(np.isnan(values), other, values)
        if self.common:
            usual = np.append(0.0, self.scored(np.array(self.common)))
            state = np.nan_to_num(entries.pop()).astype(int)
            values = np.where(state > 0, usual[state], values)
        return np.where(np.isnan(values), _BELOW_ALL, values)

    def measured(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the numbers that have a score: all but missing and common ones."""
        return numbers[~np.isnan(numbers) & ~np.isin(numbers, self.common)]

    @property
    def transform(self) -> str:
        """How numbers are transformed: "standard", "quantile", or ""."""
        if not self.knots:
            return ""
        return "standard" if len(self.knots) == 2 else "quantile"

    def unseen(self, values: Any) -> np.ndarray:
        """Says which values are levels that the data of the model didn't have, (N,)."""
        if self.kind not in ("binary", "category"):
            return np.zeros(len(values), bool)
        return np.asarray((self._find(values) < 0) & ~values.isna().to_numpy())

    def level_numbers(self, values: Any, absent: np.ndarray) -> np.ndarray:
        """Numbers levels in their order, (N,) float64; -1 where one is absent.

        Args:
            values: a pandas Series.
            absent: (N,) whether a value is missing.

        Raises:
            ValueError: for a level that the data of the model didn't have.
        """
        found = self._find(values)
        unseen = (found < 0) & ~absent
        if unseen.any():
            first = values[unseen].iloc[0]
            raise ValueError(
                f"column {self.name!r} holds {first!r} in {int(unseen.sum())} rows, "
                "which the data of the model didn't have. Remove these rows, or make "
                "the value missing (None)."
            )
        return found.astype("float64")

    def _find(self, values: Any) -> np.ndarray:
        """The place of each value among the levels, -1 if it isn't there."""
        pd = pandas()
        known = pd.Index(list(self.levels), dtype=_level_dtype(self.levels))
        number, found = pd.factorize(values)  # so that each value is looked up once
        given = pd.Series(found).astype("object")
        if known.dtype != object:
            given = pd.to_numeric(given, errors="coerce").astype("float64")
        place = np.append(known.get_indexer(pd.Index(given)), -1)
        return np.asarray(place[number])  # a missing value has the number -1

    def _of_levels(self, index: np.ndarray) -> Any:
        pd = pandas()
        return pd.Series(pd.Series(list(self.levels), dtype="object").to_numpy()[index])

    def _of_numbers(self, numbers: np.ndarray) -> Any:
        pd = pandas()
        if self.kind != "date":
            return pd.Series(numbers)
        since = pd.to_timedelta(numbers * _SECONDS[self.unit], unit="s")
        dates = pd.Series(pd.Timestamp(0) + since)
        return (
            dates if self.date_format is None else dates.dt.strftime(self.date_format)
        )

    def _with_dtype(self, values: Any) -> Any:
        pd = pandas()
        if self.dtype == "category":
            return values.astype(pd.CategoricalDtype(self.categories, self.ordered))
        if self.kind == "date" and self.date_format is None and "," in self.dtype:
            zone = self.dtype.split(",")[1].strip(" ]")
            twice = np.ones(len(values), bool)  # of two such hours, the first
            values = values.dt.tz_localize(
                zone, ambiguous=twice, nonexistent="shift_forward"
            )
        elif self.dtype.startswith(("Int", "UInt", "boolean", "Float")):
            values = values.convert_dtypes()
        return values.astype(self.dtype)


def _choice(name: str, levels: int) -> dict[str, Any]:
    if levels == 2:
        return {"name": name, "kind": "binary"}
    return {"name": name, "kind": "categorical", "levels": levels}


def _level_dtype(levels: tuple[Any, ...]) -> Any:
    numbers = all(
        isinstance(v, (int, float)) and not isinstance(v, bool) for v in levels
    )
    return "float64" if numbers else "object"


def _along(x: np.ndarray, xs: Any, ys: Any) -> np.ndarray:
    """Interpolates between knots, and continues the last pieces beyond them."""
    xs, ys = np.asarray(xs), np.asarray(ys)
    first = (ys[1] - ys[0]) / (xs[1] - xs[0])
    last = (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])
    y = np.interp(x, xs, ys)
    y = np.where(x < xs[0], ys[0] + (x - xs[0]) * first, y)
    return np.where(x > xs[-1], ys[-1] + (x - xs[-1]) * last, y)
