"""The files of fixed batch size that a browser can run, made from an export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.atomic import write_new
from kvae.export.checks.verification import (
    difference,
    limits_of,
    litert_runner,
    load_cases,
)
from kvae.export.errors import ExportRefused, ParityFailed
from kvae.export.model_checks import require_litert
from kvae.export.signatures import Signature
from kvae.export.targets.litert_conversion import archive

NUM = 16
"""Samples on the page; as many as an export records, so all of them are compared."""


def find_file(directory: Path, manifest: dict[str, Any], name: str) -> Path | None:
    """Finds the float32 .tflite file of batch size 1 with an endpoint, if there is one.

    The smallest, which is the decoder's own for `decode`.
    """
    found = [
        file
        for file in manifest["files"]
        if file["kind"] == "litert"
        and file["precision"] == "float32"
        and file["batch"] == 1
        and name in file["signatures"]
    ]
    return directory / min(found, key=_size)["path"] if found else None


def _size(file: dict[str, Any]) -> int:
    return int(file["bytes"])


def make_decoder(directory: Path, manifest: dict[str, Any], path: Path) -> None:
    """Writes `decode` for one code per call, from the SavedModel of an export.

    Args:
        directory: of the export.
        manifest: its export.json.
        path: of the new file; its folder exists.

    Raises:
        ExportRefused: if the decoder does not convert to built-in operations.
        ParityFailed: if the file does not compute what Keras did at export.
    """
    decode, specs = _endpoint(directory, manifest, "decode", 1)

    def function(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        named = {spec.name: value for spec, value in zip(specs, given, strict=True)}
        return {"mean": decode(**named)["mean"]}

    _convert(directory, Signature("decode", function, specs), path)


def make_sampler(directory: Path, manifest: dict[str, Any], path: Path) -> None:
    """Writes the part of `generate` that draws `NUM` latents; same arguments as above."""
    generate, specs = _endpoint(directory, manifest, "generate", NUM)
    specs = tuple(spec for spec in specs if spec.name != "num")

    def function(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        named = {spec.name: value for spec, value in zip(specs, given, strict=True)}
        named["temperature"] = tf.reshape(named["temperature"], ())
        return {"z": generate(num=tf.constant(NUM), **named)["z"]}

    _convert(directory, Signature("generate", function, specs), path)


def make_detector(directory: Path, manifest: dict[str, Any], path: Path) -> None:
    """Writes `detect` for one example per call; same arguments as above."""
    detect, specs = _endpoint(directory, manifest, "detect", 1)

    def function(*given: tf.Tensor) -> dict[str, tf.Tensor]:
        named = {spec.name: value for spec, value in zip(specs, given, strict=True)}
        found: dict[str, tf.Tensor] = detect(**named)
        return found

    _convert(directory, Signature("detect", function, specs), path)


def _endpoint(
    directory: Path, manifest: dict[str, Any], name: str, rows: int
) -> tuple[Any, tuple[tf.TensorSpec, ...]]:
    """Loads one signature of the SavedModel, and its inputs for a fixed batch size."""
    file = next(f for f in manifest["files"] if f["kind"] == "saved_model")
    loaded = tf.saved_model.load(str(directory / file["path"]))
    function = loaded.signatures[name]
    function.keep = loaded  # a signature alone does not keep its weights alive
    specs = [
        tf.TensorSpec(_fixed(spec["shape"], rows), spec["dtype"], key)
        for key, spec in file["signatures"][name].items()
    ]
    return function, tuple(specs)


def _fixed(shape: list[int | None], rows: int) -> tuple[int, ...]:
    return tuple(rows if n is None else n for n in shape) or (1,)


def _convert(directory: Path, endpoint: Signature, path: Path) -> None:
    require_litert()
    with archive([endpoint]) as folder:
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=[endpoint.name]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises many kinds, one per stage
            raise ExportRefused(
                f"{endpoint.name} of {directory} does not convert to the built-in "
                f"operations that run in a browser: {str(error).splitlines()[0]}"
            ) from error
    beside = path.with_name(f".trial.{path.name}")
    beside.unlink(missing_ok=True)
    write_new(beside, content)
    try:
        _compare(directory, endpoint, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _compare(directory: Path, endpoint: Signature, path: Path) -> None:
    """Runs a file on all rows that the export recorded."""
    case = load_cases(directory / "parity.npz")["random", endpoint.name]
    run = litert_runner(path)
    if endpoint.name == "generate":
        got = run("generate", case["in"])
    else:  # one example per call
        names = [spec.name for spec in endpoint.inputs]
        calls = [
            run(endpoint.name, {name: case["in"][name][i : i + 1] for name in names})
            for i in range(len(case["in"][names[0]]))
        ]
        got = {key: np.concatenate([call[key] for call in calls]) for key in calls[0]}
    limits = limits_of("float32")
    for name, values in got.items():
        expected = case["out"][name]
        limit = limits.get(name, limits["*"])
        row = difference([(values, expected)], limit, expected)
        if not row["ok"]:
            raise ParityFailed(
                f"{endpoint.name} for the browser differs from Keras in {name}: "
                f"{row.get('problem') or format(row['max'], '.3g')}; export the model "
                "again with this version of kvae."
            )
