"""The .tflite files of one export: which there are, and writing each with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kvae.export.checks.cost import measure
from kvae.export.checks.delegation import outside_xnnpack
from kvae.export.checks.verification import LIMITS, compare, litert_runner, load_cases
from kvae.export.errors import ExportRefused
from kvae.export.signatures import Signature, offered, signatures
from kvae.export.targets.card import attach_card, make_card
from kvae.export.targets.litert import PRECISIONS, check_runs, convert
from kvae.export.writing import write_new

_NOT_IN_INT8 = ("generate", "score", "complete")
"""In integers a seed would give other latents, nats would have 256 levels, and what is
visible would be rounded."""


def check_choices(precisions: tuple[str, ...], batches: tuple[int | None, ...]) -> None:
    """Raises unless the precisions and batch sizes can be exported.

    Raises:
        ValueError: naming what may be chosen.
    """
    unknown = sorted(set(precisions) - set(PRECISIONS))
    if isinstance(precisions, str) or unknown or not precisions:
        raise ValueError(
            f"precisions is a tuple of {', '.join(PRECISIONS)}; "
            f"received {precisions!r}."
        )
    if not batches or not all(
        b is None or (isinstance(b, int) and b >= 1) for b in batches
    ):
        raise ValueError(
            "batches is a tuple of positive integers, or None for a free batch size; "
            f"received {batches!r}."
        )


def write_bundle(
    model: Any,
    stage: Path,
    about: dict[str, Any],
    x: Any,
    precisions: tuple[str, ...],
    batches: tuple[int | None, ...],
    whole_model: bool,
    licence: str | None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Writes every .tflite file of an export.

    Args:
        model: the `kvae.VAE` in float32.
        stage: the export's directory, with parity.npz in it.
        about: the model's entry of the manifest, for the cards.
        x: real examples, or None.
        precisions: one set of files for each.
        batches: one file for each; None is a free batch size.
        whole_model: write files with every endpoint too, beside the decoders.
        licence: of the weights, for the cards.

    Returns:
        files: their entries of the manifest.
        refused: endpoints that do not convert, and why.
    """
    (stage / "litert").mkdir()
    offered, refused = _convertible(model) if whole_model else ((), {})
    files = []
    for precision in precisions:
        whole = tuple(
            name for name in offered if precision != "int8" or name not in _NOT_IN_INT8
        )
        for batch in batches:
            for stem, names in (("decoder", ("decode",)), ("model", whole)):
                if names:
                    name = _file_name(stem, precision, batch)
                    content = convert(model, precision, names, batch, x)
                    check_runs(model, content, names, batch)
                    file = _entry(model, f"litert/{name}", precision, batch, names)
                    card = _card(model, stage, content, file, about, x, licence)
                    content = attach_card(content, card)
                    write_new(stage / file["path"], content)
                    files.append(file | {"bytes": len(content)})
    return files, refused


def describe(endpoints: list[Signature]) -> dict[str, Any]:
    """Shapes and dtypes of the inputs of each endpoint, as JSON types."""
    return {
        endpoint.name: {
            spec.name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
            for spec in endpoint.inputs
        }
        for endpoint in endpoints
    }


def _convertible(model: Any) -> tuple[tuple[str, ...], dict[str, str]]:
    """Which endpoints LiteRT can run, and why not the others."""
    every = offered(model)
    try:
        content = convert(model, "float32", every)
        check_runs(model, content, every, None)
    except ExportRefused:
        refused = {}
        for name in every:
            try:
                content = convert(model, "float32", (name,))
                check_runs(model, content, (name,), None)
            except ExportRefused as error:
                refused[name] = str(error)
        return tuple(name for name in every if name not in refused), refused
    return every, {}


def _file_name(stem: str, precision: str, batch: int | None) -> str:
    parts = [stem]
    if precision != "float32":
        parts.append(precision)
    if batch is not None:
        parts.append(f"batch{batch}")
    return "_".join(parts) + ".tflite"


def _entry(
    model: Any, path: str, precision: str, batch: int | None, names: tuple[str, ...]
) -> dict[str, Any]:
    limit = LIMITS[precision]
    return {
        "path": path,
        "kind": "litert",
        "precision": precision,
        "batch": batch,
        "signatures": describe(signatures(model, names, "device", batch)),
        "limits": {"*": limit}
        if precision == "float32"
        else {"mean": limit, "x": limit},
    }


def _card(
    model: Any,
    stage: Path,
    content: bytes,
    file: dict[str, Any],
    about: dict[str, Any],
    x: Any,
    licence: str | None,
) -> dict[str, Any]:
    """Measures a file, notes the cost in its entry, and makes its card."""
    trial = stage / "trial.tflite"
    write_new(trial, content)
    try:
        run = litert_runner(trial)
        rows = compare(run, file, load_cases(stage / "parity.npz"))
        file["cost"] = measure(model, run, file, x)
        file["outside_xnnpack"] = outside_xnnpack(trial)
    finally:
        trial.unlink()
    return make_card(about, file, model.likelihood.support, licence, rows, file["cost"])
