"""Describes a model in words: its parts, their sizes, and why they were chosen."""

from __future__ import annotations

import html
import inspect
import math
from typing import Any, NamedTuple

import keras

from kvae.model.part_kinds import KINDS


class Row(NamedTuple):
    """One part of a model.

    Attributes:
        part: its name in the model.
        what: its class and arguments.
        weights: how many numbers training changes in it.
        why: the reason why it was chosen; "" if it was given.
    """

    part: str
    what: str
    weights: str
    why: str


def rows(vae: Any) -> list[Row]:
    """Lists the parts of a model.

    Args:
        vae: a `kvae.VAE`.

    Returns:
        rows: one for each part that it has.
    """
    found = []
    for name in KINDS:
        part = getattr(vae, name)
        if part is None:
            continue
        numbers = sum(math.prod(weight.shape) for weight in part.trainable_weights)
        shown = f"{numbers:,}" if part.built or numbers else "not built"
        found.append(Row(name, _what(part), shown, vae.reasons.get(name, "")))
    return found


def headline(vae: Any) -> str:
    """Describes a model in one line: "VAE of examples (8, 8), 16 latents, ..."."""
    numbers = sum(math.prod(weight.shape) for weight in vae.trainable_weights)
    size = f"{numbers:,} weights" if vae.built else "not built"
    given = "" if vae.condition is None else f", given {vae.condition}"
    return (
        f"{type(vae).__name__} of examples {vae.data_shape}{given}, "
        f"{vae.latent_dim} latents, {size}"
    )


def text(vae: Any) -> str:
    """The table of `VAE.summary`."""
    lines = [headline(vae), ""]
    table = [Row("part", "what", "weights", "chosen because"), *rows(vae)]
    if not any(row.why for row in table[1:]):
        table = [row._replace(why="") for row in table]
    widths = [max(len(row[i]) for row in table) for i in range(3)]
    for row in table:
        cells = [row.part.ljust(widths[0]), row.what.ljust(widths[1])]
        cells += [row.weights.rjust(widths[2]), row.why]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def line(vae: Any) -> str:
    """The repr of a model: `<VAE of examples (8, 8), 16 latents, ...: Normal, ...>`."""
    parts = [type(vae.posterior), type(vae.prior), type(vae.likelihood)]
    names = ", ".join(part.__name__ for part in (*parts, type(vae.objective)))
    return f"<{headline(vae)}: {names}>"


def page(vae: Any) -> str:
    """The table as HTML, for notebooks."""
    cells = [
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in rows(vae)
    ]
    head = "<tr><th>part</th><th>what</th><th>weights</th><th>chosen because</th></tr>"
    return (
        f"<p><b>{html.escape(headline(vae))}</b></p>"
        f"<table><thead>{head}</thead><tbody>{''.join(cells)}</tbody></table>"
    )


def _what(part: Any) -> str:
    """Describes a network by its layers, other parts by their non-default arguments."""
    if isinstance(part, keras.Model):
        layers = [
            layer
            for layer in part._flatten_layers(include_self=False, recursive=False)
            if layer.weights
        ]
        kinds = list(dict.fromkeys(type(layer).__name__ for layer in layers))
        output = getattr(part, "output_shape", None)
        features = f" to {output[1:]}" if isinstance(output, tuple) else ""
        return f"{len(layers)} layers of {', '.join(kinds) or 'no weights'}{features}"
    config = part.get_config()
    parameters = inspect.signature(type(part)).parameters
    shown = [
        f"{key}={_shown(config[key])}"
        for key, parameter in parameters.items()
        if key in config and config[key] != parameter.default
    ]
    return f"{type(part).__name__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    """Formats an argument; for a layer or another object, its class."""
    if isinstance(value, dict) and "class_name" in value:
        return str(value["class_name"])
    words = repr(value)
    return words if len(words) <= 40 else f"{words[:37]}..."
