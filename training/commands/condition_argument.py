"""Conditions typed on the command line."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.errors import UserError, nearest
from kvae.objectives import is_completing
from kvae.training.run.run_directory import RunDirectory


def read_condition(vae: Any, directory: RunDirectory, text: str | None) -> Any:
    """Reads a condition from the command line.

    Args:
        vae: the model of the run.
        directory: of the run, which knows the names of its labels.
        text: numbers or names of labels, separated by commas, or None.

    Returns:
        condition: for `VAE.sample`.

    Raises:
        UserError: if the text is neither a number nor the name of a label, or it is
            missing and the model needs one.
    """
    if text is None:
        if vae.condition is not None and not is_completing(vae):
            raise UserError(
                f"this model is conditioned on {vae.condition}; say what to draw, for "
                "example --condition 7."
            )
        return None
    labels = vae.condition is not None and vae.condition.classes is not None
    names = directory.label_names()
    found: list[float] = []
    for word in text.split(","):
        word = word.strip()
        try:
            found.append(names.index(word) if word in names else float(word))
        except ValueError:
            hint = nearest(word, names) if names else "Use its number."
            raise UserError(
                f"--condition takes numbers or labels; received {word!r}. {hint}"
            ) from None
    whole = labels and all(number.is_integer() for number in map(float, found))
    array = np.array(found, "int32" if whole else "float32")
    return array if array.size > 1 or not labels else array[0]


def read_values(schema: Any, text: str | None) -> dict[Any, Any] | None:
    """Reads values of a table's columns: "class=good,age=30".

    Args:
        schema: of the table.
        text: from the command line, or None.

    Returns:
        condition: for `VAE.sample`.

    Raises:
        UserError: if a part has no "=", or names an unknown column or value.
    """
    if text is None:
        return None
    columns = {str(column.name): column for column in schema.columns}
    found = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise UserError(
                "--condition of a table takes column=value, or several separated by "
                f"commas; received {part!r}."
            )
        if name not in columns:
            raise UserError(
                f"the table has no column {name!r}. {nearest(name, columns)}"
            )
        try:
            found[columns[name].name] = columns[name].parse(value)
        except ValueError as error:
            raise UserError(f"--condition {name}: {error}") from None
    return found
