"""Tables in .csv, .tsv, and .parquet files."""

from __future__ import annotations

import pathlib

import numpy as np

from kvae.core.errors import UserError, user_errors
from kvae.tables import Schema, TooManyLevels, is_table, read_table
from kvae.training.data.sources.data_set import Raw, test_rows
from kvae.training.data.sources.hold_out import validation_rows
from kvae.training.data.sources.source import Request, Source


class TableFile(Source):
    """A .csv, .csv.gz, .tsv, or .parquet file, by its path."""

    at_path = True

    def matches(self, name: str) -> bool:
        """Says whether the name ends as that of a table."""
        return is_table(name)

    def read(self, name: str, request: Request) -> Raw:
        """Reads it; see `read_table_file`."""
        path = pathlib.Path(name).expanduser()
        return read_table_file(path, request.columns, request.validation)


def read_table_file(
    path: pathlib.Path, kinds: dict[str, str] | None = None, validation: float = 0.0
) -> Raw:
    """Reads a table, finds its schema, and holds out its test and validation rows.

    Kinds and levels are those of all rows; ranges and quantiles are measured on the
    training rows alone.

    Args:
        path: of the file.
        kinds: of columns by name, instead of those found.
        validation: how many training rows to hold out, or a share if below 1.

    Returns:
        raw: numbers, NaN where an entry is hidden, and the schema.

    Raises:
        UserError: if the file can't be read, or a model can't learn from a column.
    """
    frame, notes = read_table(path), list[str]()
    rest = np.arange(len(frame))
    test = test_rows(len(frame), notes)
    rest = np.delete(rest, test)
    held = rest[validation_rows(len(rest), validation, None, notes)]
    train = np.setdiff1d(rest, held)
    try:
        with user_errors(path.name):
            schema = Schema.of(frame, kinds, measured=train)
    except UserError as error:
        if isinstance(error.__cause__, TooManyLevels):
            raise _with_advice(path, error.__cause__) from None
        raise
    notes.append(f"{len(frame)} rows of {len(frame.columns)} columns.")
    numbers = schema.encode(frame)
    del frame  # larger than the numbers, and they are copied below
    return Raw(
        name=path.name,
        train=numbers[train],
        test=numbers[test],
        validation=numbers[held] if len(held) else None,
        notes=tuple(notes),
        schema=schema,
    )


def _with_advice(path: pathlib.Path, error: TooManyLevels) -> UserError:
    name, levels, rows = error.parts
    told = TooManyLevels(
        name, levels, rows,
        f"leave it out with --set columns.{name}=ignored, or keep it with "
        f"--set columns.{name}=category.",
    )  # fmt: skip
    return UserError(f"{path.name}: {told}")
