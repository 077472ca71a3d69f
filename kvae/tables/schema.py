"""What the columns of a table are, and the way from a data frame to numbers and back."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections import Counter
from typing import Any

import keras
import numpy as np

from kvae.core.inputs import Inputs
from kvae.tables.column import Column, pandas
from kvae.tables.find_kind import find_column

_LOG = logging.getLogger("kvae")
_SURE = 10.0  # nats by which an array is more probable as values than as scores


@keras.saving.register_keras_serializable(package="kvae")
class Schema:
    """The columns of a table: what each holds, and how a model sees it.

    `Schema.of` finds it from the data. A model of a table keeps it, in its .keras file
    too, and converts data frames on the way in and out.

    Args:
        columns: in the order of the table.

    Raises:
        ValueError: if there is nothing to learn from, or a name comes twice.
    """

    def __init__(self, columns: list[Column]) -> None:
        names = [str(column.name) for column in columns]
        if twice := sorted(name for name, n in Counter(names).items() if n > 1):
            raise ValueError(
                f"the table has several columns named {twice[0]!r}. Rename them."
            )
        self.columns = tuple(columns)
        self._warned = False
        self._ends = np.cumsum([len(column.entries()) for column in columns])
        if not len(self._ends) or not self._ends[-1]:
            raise ValueError(
                "the table has no column that a model could learn from: every column is "
                "constant, empty, or ignored."
            )

    @classmethod
    def of(
        cls,
        frame: Any,
        kinds: dict[Any, str] | None = None,
        measured: np.ndarray | None = None,
    ) -> Schema:
        """Finds what the columns of a table hold.

        Args:
            frame: a pandas DataFrame, or what has `to_pandas`, such as that of polars.
            kinds: of columns by name, instead of those found: "number", "count",
                "binary", "category", "date", or "ignored", which leaves a column out.
            measured: positions of the rows that quantiles and ranges are measured on; all
                if None.

        Returns:
            schema: which prints as a table, with the reasons.

        Raises:
            ValueError: for text with too many levels, objects, or an unknown name or
                kind, each with the way out.
        """
        frame = as_frame(frame)
        kinds = dict(kinds or {})
        if unknown := [name for name in kinds if name not in frame.columns]:
            raise ValueError(
                f"kinds names the column {unknown[0]!r}, which the table doesn't have. "
                f"Its columns are {', '.join(map(str, frame.columns))}."
            )
        if len(frame) == 0:
            raise ValueError("the table holds no rows. Check the file or the filter.")
        found = []
        for at, name in enumerate(frame.columns):
            values = frame.iloc[:, at]
            seen = None if measured is None else values.iloc[measured]
            found.append(find_column(values, kinds.get(name), seen))
        return cls(found)

    def entries(self) -> list[dict[str, Any]]:
        """Describes the columns of numbers, as `likelihoods.Columns` takes them."""
        return [entry for column in self.columns for entry in column.entries()]

    def encode(
        self, frame: Any, some: bool = False, hide_unseen: bool = False
    ) -> np.ndarray:
        """Turns rows into numbers.

        Args:
            frame: with the columns of the schema, in any order.
            some: accept a frame with only some of the columns; the others are hidden.
            hide_unseen: hide levels that a column didn't have, instead of raising.

        Returns:
            numbers: (N, entries) float32, NaN where an entry is hidden.

        Raises:
            ValueError: if a column is missing or unknown, or holds what it can't.
        """
        frame = as_frame(frame)
        self._check_names(frame, some)
        numbers = np.full((len(frame), int(self._ends[-1])), np.nan, "float32")
        for column, part in zip(self.columns, self.split(numbers), strict=True):
            if column.name in frame.columns and column.kind != "ignored":
                part[:] = column.encode(frame[column.name], hide_unseen)
        return numbers

    def unseen(self, frame: Any) -> np.ndarray:
        """Says which entries are levels that the data of the model didn't have.

        Args:
            frame: with the columns of the schema, in any order.

        Returns:
            unseen: (N, entries) booleans.
        """
        frame = as_frame(frame)
        self._check_names(frame, some=False)
        found = np.zeros((len(frame), len(self.entries())), bool)
        for column, end in zip(self.columns, self._ends, strict=True):
            if column.kind in ("binary", "category"):
                found[:, end - 1] = column.unseen(frame[column.name])
        return found

    def decode(self, numbers: Any, with_missing: bool = True) -> Any:
        """Turns numbers back into a data frame of the columns and dtypes of the data.

        Args:
            numbers: (N, entries) without NaN, as a model draws them.
            with_missing: leave values out where the model draws a missing one.
        """
        made = {
            column.name: column.decode(part, with_missing)
            for column, part in zip(self.columns, self.split(numbers), strict=True)
            if column.kind != "ignored"
        }
        return pandas().DataFrame(made)

    def split(self, numbers: Any) -> list[np.ndarray]:
        """Splits numbers (N, entries) into those of each column."""
        return np.split(np.asarray(numbers), self._ends[:-1], axis=1)

    def modeled(self) -> list[Column]:
        """Returns the columns that a model learns from: those with entries."""
        return [column for column in self.columns if column.entries()]

    def parts(self, numbers: Any) -> list[tuple[Column, np.ndarray]]:
        """Splits numbers (N, entries) by the columns that a model learns from."""
        pairs = zip(self.columns, self.split(numbers), strict=True)
        return [(column, part) for column, part in pairs if part.shape[1]]

    def inputs(self, data: Any) -> Inputs:
        """Reads what a model of a table takes: a frame, or numbers with NaN for hidden.

        Args:
            data: a data frame, an array (N, entries) that `encode` made, or a dict with
                either as "x".

        Returns:
            inputs: numbers, and a mask if an entry is hidden.

        Raises:
            ValueError: if an array doesn't have the entries, or may hold the values of
                the table instead.
        """
        if is_frame(data):
            data = {"x": data}
        made = isinstance(data, dict) and is_frame(data.get("x"))
        if made:
            data = {**data, "x": self.encode(data["x"])}
        inputs = Inputs.of(data)
        x = np.asarray(inputs.x)
        if not made:
            self._check_array(x)
        hidden = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
        if not hidden.any():
            return inputs
        mask = ~hidden
        if inputs.mask is not None:
            mask &= np.asarray(inputs.mask) != 0
        return dataclasses.replace(inputs, x=np.where(hidden, 0, x), mask=mask)

    def _check_array(self, x: np.ndarray) -> None:
        """Refuses arrays that `encode` didn't make; they may hold values of the table."""
        count = int(self._ends[-1])
        columns = self.modeled()
        shown = ", ".join(str(column.name) for column in columns[:10])
        shown += ", ..." if len(columns) > 10 else ""
        way = (
            f"Pass a data frame with the columns {shown}, or the numbers that "
            "vae.schema.encode(frame) makes of one."
        )
        if x.ndim != 2 or x.shape[1] != count or x.dtype.kind not in "fiub":
            raise ValueError(
                f"the model takes tables, or arrays of {count} encoded numbers per row; "
                f"received an array of shape {x.shape}, dtype {x.dtype}. {way}"
            )
        scored = any(column.knots for column in columns)
        alike = count in (len(self.columns), len(columns)) and scored
        if alike and x.dtype != np.float32:
            raise ValueError(
                f"an array of {x.dtype} with {count} columns may hold the values of the "
                f"table, and the model computes with other numbers. {way}"
            )
        if alike and not self._warned and self._looks_like_values(x):
            self._warned = True
            _LOG.warning(
                "an array is read as numbers that vae.schema.encode made, but looks like "
                "the values of the table. %s",
                way,
            )

    def _looks_like_values(self, x: np.ndarray) -> bool:
        """Whether the columns are more probable as values than as their scores.

        The scores of the data are close to N(0, 1), so the density of a value v is that
        of its score, times the slope of the score at v. No single one decides.
        """
        ratio = 0.0
        for column, part in self.parts(np.asarray(x, "float64")):
            if not column.knots:
                continue
            v = part[:, -1][np.isfinite(part[:, -1])]
            step = 1e-3 * max(column.high - column.low, 1e-12)
            low, score, high = (column.scored(v + d) for d in (-step, 0.0, step))
            slope = np.maximum((high - low) / (2 * step), 1e-300)
            each = 0.5 * (v**2 - score**2) + np.log(slope)
            ratio += float(np.clip(each, -3, 3).sum())
        return ratio > _SURE

    def examples(self, data: Any) -> np.ndarray:
        """Returns numbers from which parts are chosen and units measured.

        Args:
            data: as `inputs` takes it.

        Returns:
            x: (N, entries); hidden entries repeat those of other rows, so that means
                and spreads are those of what is seen.
        """
        inputs = self.inputs(data)
        x = np.array(inputs.x)
        if inputs.mask is None:
            return x
        for column, seen in zip(x.T, np.asarray(inputs.mask).T, strict=True):
            if seen.any() and not seen.all():
                column[~seen] = np.resize(column[seen], int((~seen).sum()))
        return x

    def __str__(self) -> str:
        rows = [("column", "kind", "missing", "why")]
        for column in self.columns:
            missing = f"{column.missing:.1%}" if column.missing else ""
            why = column.why
            if column.kind == "category":
                why = f"{why}, {len(column.levels)} levels"
            rows.append((str(column.name), column.kind, missing, why))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [
            "  ".join(
                [*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]
            )
            for row in rows
        ]
        return "\n".join(line.rstrip() for line in lines)

    __repr__ = __str__

    def summary(self) -> str:
        """Describes the columns in one line: how many of each kind."""
        counts = Counter(column.kind for column in self.columns)
        shown = ", ".join(f"{n} {kind}" for kind, n in counts.most_common())
        quantile = sum(column.transform == "quantile" for column in self.columns)
        return f"{shown}{f' ({quantile} by quantiles)' if quantile else ''}"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Schema) and self.columns == other.columns

    def __hash__(self) -> int:
        return hash(self.columns)

    def get_config(self) -> dict[str, Any]:
        """Returns the columns as JSON types."""
        return {"columns": [_to_dict(column) for column in self.columns]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Schema:
        """Makes a schema from `get_config`."""
        return cls([_from_dict(fields) for fields in config["columns"]])

    def to_json(self) -> str:
        """Returns the schema as text, to read, to store, and to edit."""
        return json.dumps(self.get_config(), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Reads the schema that `to_json` returned."""
        return cls.from_config(json.loads(text))

    def _check_names(self, frame: Any, some: bool) -> None:
        if len(frame) == 0:
            raise ValueError("the table holds no rows. Check the file or the filter.")
        known = [column.name for column in self.columns]
        if unknown := [name for name in frame.columns if name not in known]:
            raise ValueError(
                f"the data of the model had no column {unknown[0]!r}. Leave it out: "
                f"frame.drop(columns={unknown[0]!r})."
            )
        needed = [c.name for c in self.columns if c.entries() and not some]
        if absent := [name for name in needed if name not in frame.columns]:
            raise ValueError(
                f"the table has no column {absent[0]!r}, which the data of the model "
                "had. Add it; it may be missing in every row (None)."
            )
        if len(set(frame.columns)) < len(frame.columns):
            raise ValueError("the table has several columns of one name. Rename them.")


def check_schema(schema: Any) -> Schema | None:
    """Returns a schema or None, or raises TypeError if it is neither."""
    if schema is None or isinstance(schema, Schema):
        return schema
    raise TypeError(
        "schema must be a kvae.tables.Schema, such as Schema.of(frame); received "
        f"{schema!r}."
    )


def is_frame(data: Any) -> bool:
    """Returns whether data are a table with named columns of their own dtypes."""
    return hasattr(data, "columns") and (
        hasattr(data, "iloc") or hasattr(data, "to_pandas")
    )


def as_frame(data: Any) -> Any:
    """Returns a pandas DataFrame, converted from polars or Arrow if necessary."""
    if hasattr(data, "iloc"):
        return data
    if hasattr(data, "to_pandas"):
        pandas()
        return data.to_pandas()
    raise ValueError(
        f"a table must be a pandas DataFrame; received {type(data).__name__}. Read a file "
        "with kvae.tables.read_table(path)."
    )


def _to_dict(column: Column) -> dict[str, Any]:
    fields = dataclasses.asdict(column)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


def _from_dict(fields: dict[str, Any]) -> Column:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in fields.items()
    }
    return Column(**values)
