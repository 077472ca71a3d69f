"""Checks of arguments that several verbs share."""

from __future__ import annotations

import pathlib
from typing import Any

from kvae.core.errors import UserError

TABLES = (".csv", ".tsv", ".parquet")
"""The kinds of files that hold a table."""


def new_file(out: pathlib.Path, *kinds: str) -> pathlib.Path:
    """Checks the path of a file to write: its kind, that it is new, and its folder."""
    kinds = kinds or (".png", ".npy")
    if out.suffix not in kinds:
        raise UserError(f"--out takes a {_listed(kinds)} file; received {out}.")
    if out.exists():
        raise UserError(f"{out} exists; choose another --out.")
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent}; create it first.")
    return out


def _listed(kinds: tuple[str, ...]) -> str:
    return " or ".join([", ".join(kinds[:-1]), kinds[-1]] if kinds[1:] else kinds)


def changed_data(data_dir: str | None) -> dict[str, Any]:
    """Returns the changes to a run's configuration if its data have moved."""
    return {} if data_dir is None else {"data_dir": data_dir}
