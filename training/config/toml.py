"""TOML in and out, and the values of `--set key=value`."""

from __future__ import annotations

import json
import pathlib
import tomllib
from typing import Any

from kvae.core.errors import UserError


def read_toml(path: pathlib.Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        UserError: if it is missing, not UTF-8, or not TOML, with line and column.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"there is no file {path}; check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a readable TOML file: {error}.") from error
    try:
        return parse_toml(text)
    except UserError as error:
        raise UserError(f"{path} is not a readable TOML file: {error}") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Reads TOML.

    Raises:
        UserError: if it is not TOML, with line and column, or is nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UserError("its brackets are nested too deeply.") from None
    except ValueError as error:  # of tomllib, and of integers of 4300 digits and more
        raise UserError(f"{error}.") from error


def to_toml(values: dict[str, Any]) -> str:
    """Writes what `read_toml` reads back unchanged; None is left out.

    Args:
        values: strings, booleans, numbers, lists, and tables of these by name.

    Returns:
        text: one key per line, tables last.
    """
    present = {key: value for key, value in values.items() if value is not None}
    tables = {key: v for key, v in present.items() if isinstance(v, dict)}
    lines = [f"{k} = {_value(v)}" for k, v in present.items() if k not in tables]
    for name, table in tables.items():
        lines += ["", f"[{_bare(name)}]"]
        lines += [
            f"{_bare(k)} = {_value(v)}" for k, v in table.items() if v is not None
        ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        inside = (
            f"{_bare(k)} = {_value(v)}" for k, v in value.items() if v is not None
        )
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    # JSON strings are TOML strings, except for DEL, which TOML requires escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _bare(key: str) -> str:
    plain = key.replace("_", "").replace("-", "")
    return key if plain.isascii() and plain.isalnum() else json.dumps(key)


def parse_setting(text: str) -> tuple[list[str], Any]:
    """Reads one `--set` argument.

    Args:
        text: "key=value" or "table.key=value"; the value is TOML, and anything that is
            not TOML is a string, so quotes may be left out.

    Returns:
        path: the key, split at its dots.
        value: of the key.

    Raises:
        UserError: if there is no "=".
    """
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path):
        raise UserError(
            f"--set takes key=value, for example --set epochs=20; received {text!r}."
        )
    try:
        return path, tomllib.loads(f"value = {value}")["value"]
    except RecursionError:
        raise UserError(f"the brackets of {key} are nested too deeply.") from None
    except ValueError:
        return path, value.strip()


def assign(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Sets a key, or a key of a table, in place; a plain name becomes a table."""
    if len(path) == 1:
        values[path[0]] = value
        return
    inner = values.get(path[0])
    if isinstance(inner, str):
        inner = {"name": inner}
    if not (inner is None or isinstance(inner, dict)):
        raise UserError(
            f"{path[0]} is {inner!r}, so it has no {path[1]}; set {path[0]} itself."
        )
    table = dict(inner or {})
    assign(table, path[1:], value)
    values[path[0]] = table
