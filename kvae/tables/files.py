"""Tables in files."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable
from typing import Any

from kvae.core.errors import UserError
from kvae.core.extras import require
from kvae.tables.column import pandas

ENDINGS = (".csv", ".csv.gz", ".tsv", ".parquet")
"""The files that `read_table` reads."""


def is_table(path: Any) -> bool:
    """Returns whether the name of a file is that of a table."""
    return str(path).lower().endswith(ENDINGS)


def read_table(path: Any) -> Any:
    """Reads a table from a .csv, .csv.gz, .tsv, or .parquet file.

    Args:
        path: of the file. The first line of text files names the columns.

    Returns:
        frame: a pandas DataFrame.

    Raises:
        UserError: if there is no such file, or it can't be read.
    """
    pd = pandas()
    path = pathlib.Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the path.")
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            require("pyarrow", "reading Parquet files", "tables")
            return pd.read_parquet(path)
        separator = "\t" if name.endswith(".tsv") else ","
        frame = pd.read_csv(path, sep=separator)
    except (ValueError, UnicodeError, OSError) as error:
        raise UserError(f"{path} is not a readable table: {error}") from error
    if len(frame.columns) == 1 and ";" in str(frame.columns[0]):
        frame = pd.read_csv(path, sep=";")  # as spreadsheets write it in many countries
    first = frame.columns[0]
    numbered = len(frame) > 1 and list(frame[first][:2]) in ([0, 1], [1, 2])
    if str(first).startswith("Unnamed: 0") and numbered:
        frame = frame.drop(columns=first)  # the index that `to_csv` wrote
    return frame


def write_table(frame: Any, path: Any) -> None:
    """Writes a table to a .csv, .csv.gz, .tsv, or .parquet file.

    Raises:
        UserError: for another ending.
    """
    write_parts([frame], path)


def write_parts(frames: Iterable[Any], path: Any) -> None:
    """Writes consecutive parts of a table to one file.

    Args:
        frames: made as they are written, so that a large table is never in memory as a
            whole, unless to .parquet.
        path: of a .csv, .csv.gz, .tsv, or .parquet file.

    Raises:
        UserError: for another ending.
    """
    name = str(path).lower()
    if name.endswith(".parquet"):
        require("pyarrow", "writing Parquet files", "tables")
        pandas().concat(list(frames), ignore_index=True).to_parquet(path, index=False)
    elif is_table(name):
        separator = "\t" if name.endswith(".tsv") else ","
        for number, frame in enumerate(frames):
            mode, header = ("a", False) if number else ("w", True)
            frame.to_csv(path, index=False, sep=separator, mode=mode, header=header)
    else:
        raise UserError(f"tables are written to {', '.join(ENDINGS)}; received {path}.")
