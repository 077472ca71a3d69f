"""The columns of a table as inputs of a server: one tensor each, encoded in the graph."""

from __future__ import annotations

import dataclasses
import keyword
import re
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.tables import Schema
from kvae.tables.column import Column

SUFFIX = "_columns"
"""What the names of endpoints with one input for each column end with."""

_TAKEN = ("seed", "condition")


@dataclasses.dataclass(frozen=True)
class ColumnInput:
    """One column as a client sends it.

    Numbers are float64, so that large ones keep their digits; NaN is missing. Levels
    that are text are strings, and "" is missing. Dates are numbers too, counted in the
    column's unit since 1970, and booleans are 0 and 1.

    Attributes:
        name: of the input: that of the column, with "_" for what an input's name can't
            hold.
        column: of the schema.
    """

    name: str
    column: Column

    @property
    def is_text(self) -> bool:
        """Whether it takes strings."""
        levels = self.column.levels
        return self.column.kind in ("binary", "category") and not all(
            isinstance(level, (bool, int, float, np.number)) for level in levels
        )

    @property
    def levels(self) -> list[str] | list[float]:
        """The levels of a binary or categorical column, as a client sends them."""
        if self.is_text:
            return [str(level) for level in self.column.levels]
        return [float(level) for level in self.column.levels]

    @property
    def spec(self) -> tf.TensorSpec:
        """The specification of the input, (B,)."""
        dtype = tf.string if self.is_text else tf.float64
        return tf.TensorSpec((None,), dtype, self.name)

    def values(self, frame: Any) -> np.ndarray:
        """Returns what a client sends for the rows of a data frame, (N,).

        Args:
            frame: with the column.
        """
        given = frame[self.column.name]
        if self.is_text:
            texts = given.astype("object").where(given.notna(), "")
            return np.array([str(text) for text in texts], dtype=np.str_)
        if self.column.kind in ("binary", "category"):
            return np.asarray(given.to_numpy("float64", na_value=np.nan))
        return self.column.numbers(given)

    def encode(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Turns values into numbers, as `Column.encode` does.

        Args:
            values: (B,).

        Returns:
            numbers: (B, entries) float64, NaN where an entry is hidden.
            unseen: (B,) booleans, where there is a level that the data of the model
                didn't have.
        """
        column = self.column
        absent = values == "" if self.is_text else tf.math.is_nan(values)
        nan = tf.constant(np.nan, tf.float64)
        unseen, parts = tf.zeros_like(absent), []
        if column.missing:
            parts.append(tf.cast(absent, tf.float64))
        if column.kind in ("binary", "category"):
            levels = tf.constant(self.levels, values.dtype)
            found, known = _place(values, levels)
            known &= ~absent
            unseen = ~known & ~absent
            parts.append(tf.where(known, found, nan))
        else:
            if column.common:
                common = tf.constant(column.common, tf.float64)
                found, hit = _place(values, common)
                state = tf.where(hit, 1.0 + found, tf.zeros_like(found))
                parts.append(tf.where(absent, nan, state))
                values = tf.where(hit, nan, values)
            parts.append(_scored(column, values))
        return tf.stack(parts, axis=-1), unseen

    def describe(self) -> dict[str, Any]:
        """Returns what a client has to know, as JSON types."""
        column = self.column
        facts: dict[str, Any] = {
            "column": str(column.name),
            "input": self.name,
            "dtype": "string" if self.is_text else "float64",
            "missing": "" if self.is_text else "NaN",
        }
        if column.kind == "date":
            facts["unit"] = f"{column.unit} since 1970-01-01"
        if column.kind in ("binary", "category"):
            facts["levels"] = self.levels
        return facts


def column_inputs(schema: Schema) -> list[ColumnInput]:
    """Returns the inputs of the columns that a model learns from, in their order.

    Args:
        schema: of the table.
    """
    made: list[ColumnInput] = []
    taken = set(_TAKEN)
    for column in schema.modeled():
        name = re.sub(r"[^A-Za-z0-9_]", "_", str(column.name))
        if not re.match(r"[A-Za-z]", name) or keyword.iskeyword(name):
            name = f"column_{name}"
        while name in taken:
            name += "_"
        taken.add(name)
        made.append(ColumnInput(name, column))
    return made


def encoded(
    inputs: list[ColumnInput], given: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Turns the columns of rows into what a model takes.

    Args:
        inputs: of all columns.
        given: (B,) values by the names of the inputs.

    Returns:
        x: (B, entries) float32, 0 where an entry is hidden.
        mask: (B, entries) float32, 1 where it is not.
        unseen: (B, entries) booleans, where a level is one that the data of the model
            didn't have.
    """
    numbers, unseen = [], []
    for each in inputs:
        part, new = each.encode(given[each.name])
        entries = part.shape[-1]
        last = tf.one_hot(entries - 1, entries, on_value=True, off_value=False)
        numbers.append(part)
        unseen.append(new[:, None] & last[None])
    x = tf.cast(tf.concat(numbers, axis=-1), tf.float32)
    hidden = tf.math.is_nan(x)
    x = tf.where(hidden, tf.zeros_like(x), x)
    return x, tf.cast(~hidden, tf.float32), tf.concat(unseen, axis=-1)


def _place(values: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """The place of each value among others, (B,) float64, and whether it is there."""
    equal = values[:, None] == among[None, :]
    return tf.cast(tf.argmax(equal, axis=1), tf.float64), tf.reduce_any(equal, axis=1)


def _scored(column: Column, values: Tensor) -> Tensor:
    """Interpolates scores between knots; the last pieces continue beyond them."""
    if column.kind == "count":
        return values
    xs, ys = np.asarray(column.knots), np.asarray(column.scores)
    slopes = tf.constant(np.diff(ys) / np.diff(xs), tf.float64)
    piece = tf.searchsorted(tf.constant(xs, tf.float64), values, side="right") - 1
    piece = tf.clip_by_value(piece, 0, len(xs) - 2)
    start, score = (tf.gather(tf.constant(v, tf.float64), piece) for v in (xs, ys))
    return score + (values - start) * tf.gather(slopes, piece)
