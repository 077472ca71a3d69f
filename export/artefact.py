"""The export of a model: files for servers and devices, proven equal to Keras."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import kvae
from kvae.export import verification
from kvae.export.errors import ParityFailed
from kvae.export.float32_copy import as_float32
from kvae.export.litert_files import check_runs, convert, write_new
from kvae.export.model_checks import (
    check_built,
    check_new,
    check_trained,
    require_litert,
)
from kvae.export.parity_cases import record
from kvae.export.report import ExportReport
from kvae.export.servable import write_archive
from kvae.export.signatures import signatures

LIMIT = 1e-5
"""The largest difference a float32 file may show, times max(1, largest value)."""


def export(
    vae: Any,
    directory: Any,
    x: Any = None,
    *,
    allow_untrained: bool = False,
) -> ExportReport:
    """Exports a model and proves that the files compute what Keras computes.

        directory/saved_model/1/         signatures decode, generate, encode,
                                         reconstruct, score; for TF Serving
        directory/litert/decoder.tflite  decode, in built-in operations; for phones
        directory/export.json            what is in it, checksums, the parity table
        directory/parity.npz             recorded inputs and outputs
        directory/verify.py              repeats the checks on any machine

    The files are loaded back in a fresh process that admits neither kvae nor keras nor
    TFP, and compared at batch 1, 3 and 16. The directory appears only after that, by a
    rename: a killed or failed export leaves nothing under its name.

    Args:
        vae: a trained `kvae.VAE`, of any precision; exported in float32.
        directory: where to; must not exist.
        x: (N, *data_shape) real examples to compare on, or a dict with "x" and
            optionally "condition" and "mask"; random input is always compared.
        allow_untrained: export a model that never saw a training step.

    Returns:
        report: prints as a table.

    Raises:
        ImportError: if the LiteRT runtime is not installed.
        ValueError: if the model is not built or trained; as `ExportRefused`, if a part
            of it has no form on a target.
        FileExistsError: if the directory exists.
        ParityFailed: if a file computes something else; the message holds the table.
    """
    start = time.perf_counter()
    check_built(vae)
    if not allow_untrained:
        check_trained(vae)
    require_litert()
    directory = check_new(directory)
    model = as_float32(vae)
    cases = record(model, x)

    stage = Path(
        tempfile.mkdtemp(prefix=f".{directory.name}.partial.", dir=directory.parent)
    )
    try:
        np.savez_compressed(stage / "parity.npz", **cases)
        shutil.copyfile(verification.__file__, stage / "verify.py")
        files = [_write_saved_model(model, stage), _write_decoder(model, stage)]
        manifest = _manifest(vae, files, stage)
        _write_json(stage / "export.json", manifest)
        result = run_checks(stage)
        report = ExportReport(
            directory,
            tuple(files),
            tuple(result["rows"]),
            tuple(result["problems"]),
            result["skipped"],
            seconds=time.perf_counter() - start,
        )
        if not report.ok or report.skipped:
            raise ParityFailed(
                f"the exported files do not compute what Keras computes; {directory} was "
                f"not written.\n{report.table()}"
            )
        _write_json(stage / "export.json", manifest | {"parity": report.to_dict()})
        stage.chmod(0o755)
        check_new(directory)  # a rename would take an empty directory's place
        os.rename(stage, directory)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    return report


def verify(directory: Any) -> ExportReport:
    """Repeats all checks of an export from its directory alone, in a fresh process.

    Args:
        directory: what `export` wrote, possibly on another machine.

    Returns:
        report: `report.ok` says whether all is equal and undamaged; artefacts whose
            runtime is not installed are in `report.skipped`.

    Raises:
        FileNotFoundError: if there is no such directory.
    """
    start = time.perf_counter()
    directory = Path(directory).absolute()
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory} is not a directory.")
    result = run_checks(directory)
    try:
        files = json.loads((directory / "export.json").read_text("utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        files = []  # the problems say so
    return ExportReport(
        directory,
        tuple(files),
        tuple(result["rows"]),
        tuple(result["problems"]),
        result["skipped"],
        seconds=time.perf_counter() - start,
    )


def run_checks(directory: Path) -> dict[str, Any]:
    """Runs `kvae.export.verification` on a directory in a fresh process.

    Returns:
        result: see `kvae.export.verification.check`; modules that must not be loaded
            are among the "problems".

    Raises:
        RuntimeError: if the process dies, with the last it said.
    """
    with tempfile.TemporaryDirectory(prefix="kvae-verify-") as folder:
        answer = Path(folder) / "result.json"
        command = [sys.executable, "-P", verification.__file__, str(directory)]
        process = subprocess.run(
            [*command, "--json", str(answer)],
            capture_output=True,
            text=True,
            check=False,
            timeout=1800,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if not answer.exists():
            said = process.stderr.strip()[-2000:]
            raise RuntimeError(f"the checking process failed: {said}")
        result: dict[str, Any] = json.loads(answer.read_text("utf-8"))
    result["problems"] += [f"{m} was loaded" for m in result["forbidden"]]
    return result


def _write_saved_model(model: Any, stage: Path) -> dict[str, Any]:
    path = stage / "saved_model" / "1"
    endpoints = signatures(model)
    write_archive(endpoints, path)
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return {
        "path": "saved_model/1",
        "kind": "saved_model",
        "precision": "float32",
        "batch": None,
        "signatures": _describe(endpoints),
        "limits": {"*": LIMIT},
        "bytes": size,
    }


def _write_decoder(model: Any, stage: Path) -> dict[str, Any]:
    names = ("decode",)
    content = convert(model, "float32", names)
    check_runs(model, content, names, None)
    (stage / "litert").mkdir()
    write_new(stage / "litert" / "decoder.tflite", content)
    return {
        "path": "litert/decoder.tflite",
        "kind": "litert",
        "precision": "float32",
        "batch": None,
        "signatures": _describe(signatures(model, names, "device")),
        "limits": {"*": LIMIT},
        "bytes": len(content),
    }


def _describe(endpoints: Any) -> dict[str, Any]:
    return {
        endpoint.name: {
            spec.name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
            for spec in endpoint.inputs
        }
        for endpoint in endpoints
    }


def _manifest(vae: Any, files: list[dict[str, Any]], stage: Path) -> dict[str, Any]:
    parts = ("posterior", "prior", "likelihood", "objective")
    packages = ("tensorflow", "keras", "tensorflow-probability", "ai-edge-litert")
    return {
        "format": 1,
        "model": {
            "name": vae.name,
            "parameters": int(vae.count_params()),
            "data_shape": list(vae.data_shape),
            "latent_dim": vae.latent_dim,
            "trained_in": vae.dtype_policy.name,
            "steps": int(vae.step.value),
            **{part: type(getattr(vae, part)).__name__ for part in parts},
        },
        "versions": {
            "kvae": kvae.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
        "files": files,
        "sha256": {
            str(path.relative_to(stage)): verification.sha256(path)
            for path in sorted(stage.rglob("*"))
            if path.is_file()
        },
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
