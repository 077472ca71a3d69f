"""Exports a model: files for servers and devices, proven equal to Keras."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import kvae
from kvae.core.atomic import check_new, staged
from kvae.evaluation.examples import first_rows
from kvae.evaluation.latents import latent_usage
from kvae.export.checks import verification
from kvae.export.checks.parity_cases import ROWS, record
from kvae.export.checks.report import ExportReport
from kvae.export.checks.verify import run_checks
from kvae.export.columns import column_inputs
from kvae.export.errors import ParityFailed
from kvae.export.model_checks import (
    check_attributes,
    check_built,
    check_detector,
    check_trained,
    require_serving,
)
from kvae.export.readme import readme
from kvae.export.serving.warmup import write_server_files, write_warmup
from kvae.export.signatures import Detection, Signatures
from kvae.export.targets import TARGETS
from kvae.export.targets.float32_copy import as_float32
from kvae.export.targets.target import Choices, Target, Task

_RATED = 1000  # examples that the usage of each latent is measured on


def export(
    vae: Any,
    directory: Any,
    x: Any = None,
    *,
    targets: Sequence[Target] = TARGETS,
    precisions: tuple[str, ...] = ("float32",),
    batches: tuple[int | None, ...] = (None,),
    whole_model: bool = False,
    license: str | None = None,
    serving: bool = False,
    attributes: Any = None,
    detector: Any = None,
    alpha: float = 0.01,
    allow_untrained: bool = False,
) -> ExportReport:
    """Exports a model and proves that the files compute what Keras computes.

        directory/saved_model/1/         signatures decode, generate, encode,
                                         reconstruct, score, and complete or detect
                                         where the model has it; of a table also
                                         score_columns, ...; for TF Serving
        directory/litert/decoder.tflite  decode, in built-in operations; for phones
        directory/litert/...             further precisions and fixed batch sizes
        directory/README.md              what is in it, for people and model hubs
        directory/export.json            what is in it, checksums, the parity table
        directory/run_*.py               runs the files of a target of your own
        directory/attributes.json        directions in the latents, if given
        directory/schema.json            of a table: what the columns of x are
        directory/parity.npz             recorded inputs and outputs
        directory/verify.py              repeats the checks on any machine

    The files are loaded back in a fresh process that doesn't allow kvae, keras or TFP,
    and compared at batch 1, 3 and 16. The directory appears only after that, by a
    rename, so a killed or failed export leaves nothing under its name.

    Args:
        vae: a trained `kvae.VAE`, of any precision; exported in float32.
        directory: to write to; must not exist.
        x: (N, *data_shape) real examples to compare on, or a dict with "x" and
            optionally "condition" and "mask"; random input is always compared.
        targets: what to write; by default all of `kvae.export.TARGETS`.
        precisions: of the .tflite files, any of "float32", "float16", "int8_dynamic",
            "int8". What each costs in nats is measured on `x` and reported.
        batches: of the .tflite files: None means a free batch size, 1 a fixed one.
        whole_model: write .tflite files with every endpoint too (weights stored once).
        license: of the weights, for the model card inside each .tflite file.
        serving: add warm-up requests to the SavedModel, and directory/serving/ with
            examples of a model server's configuration.
        attributes: what `kvae.attribute_vectors` found, for the sliders of
            `kvae explore`.
        detector: a calibrated `kvae.detection.Detector` of this model, for the endpoint
            `detect`.
        alpha: the share of false alarms of that endpoint.
        allow_untrained: export a model that was never trained.

    Returns:
        report: prints as a table.

    Raises:
        ImportError: if the LiteRT runtime is not installed, or with `serving` the
            messages of TF Serving.
        ValueError: if the model is not built or trained, or the attributes are those of
            another; as `ExportRefused`, if a target does not support a part of it.
        FileExistsError: if the directory exists.
        WriteError: if the disk is full or read-only.
        ParityFailed: if a file differs from Keras; the message holds the table.
    """
    start = time.perf_counter()
    check_built(vae)
    if not allow_untrained:
        check_trained(vae)
    choices = Choices(precisions, batches, whole_model, license)
    for target in targets:
        target.check(choices)
    if serving:
        require_serving()
        if not any(target.kind == "saved_model" for target in targets):
            raise ValueError("serving=True needs a SavedModel, but targets has none.")
    if attributes is not None:
        check_attributes(vae, attributes)
    detection = None
    if detector is not None:
        detection = Detection(detector, check_detector(vae, detector, alpha))
    directory = check_new(directory)
    endpoints = Signatures(as_float32(vae), detection)
    cases = record(endpoints, x, max(ROWS, *(batch or 1 for batch in batches)))

    with staged(directory) as stage:
        np.savez_compressed(stage / "parity.npz", **cases)  # type: ignore[arg-type]
        shutil.copyfile(verification.__file__, stage / "verify.py")
        about = _about(vae) | _usage(vae, x) | _detection(detection) | _columns(vae)
        task = Task(endpoints, stage, about, x, choices)
        files: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        runners: dict[str, Path] = {}
        for target in targets:
            written = target.convert(task)
            files += written.files
            refused |= written.refused
            if target.runner is not None:
                runners[target.kind] = stage / f"run_{target.kind}.py"
                shutil.copyfile(target.runner, runners[target.kind])
        if serving:
            _write_serving(stage, directory.name)
        if attributes is not None:
            _write_attributes(stage / "attributes.json", attributes)
        if vae.schema is not None:  # which column each number is, and its levels
            (stage / "schema.json").write_text(vae.schema.to_json(), encoding="utf-8")
        text = readme(directory.name, about, files, license)
        (stage / "README.md").write_text(text, encoding="utf-8")
        manifest = _manifest(about, files, stage) | {"refused": refused}
        _write_manifest(stage / "export.json", manifest)
        result = run_checks(stage, runners)
        report = ExportReport(
            directory,
            tuple(files),
            tuple(result["rows"]),
            tuple(result["problems"]),
            result["skipped"],
            refused,
            seconds=time.perf_counter() - start,
        )
        if not report.ok or report.skipped:
            raise ParityFailed(
                f"the exported files do not compute what Keras computes; {directory} "
                f"was not written.\n{report.table()}"
            )
        parity = {"parity": report.to_dict()}
        _write_manifest(stage / "export.json", manifest | parity)
    return report


def _write_serving(stage: Path, name: str) -> None:
    """Adds the files that a model server reads next to a SavedModel."""
    cases = verification.load_cases(stage / "parity.npz")
    requests = {
        signature: case["in"]
        for (data, signature), case in cases.items()
        if data == "random"
    }
    write_warmup(stage / "saved_model" / "1", name, requests)
    write_server_files(stage / "serving", name)


def _write_attributes(path: Path, attributes: Any) -> None:
    vectors = attributes.vectors.reshape(len(attributes.names), -1).astype("float32")
    content = {"names": list(attributes.names), "vectors": vectors.tolist()}
    path.write_text(json.dumps(content), encoding="utf-8")


def _about(vae: Any) -> dict[str, Any]:
    """Describes the model for the manifest and the cards."""
    parts = ("posterior", "prior", "likelihood", "objective")
    packages = ["tensorflow", "keras", "tensorflow-probability"]
    if importlib.util.find_spec("ai_edge_litert") is not None:
        packages.append("ai-edge-litert")
    return {
        "name": vae.name,
        "parameters": int(vae.count_params()),
        "data_shape": list(vae.data_shape),
        "latent_dim": vae.latent_dim,
        "latent_shape": list(vae.latent_shape),
        "classes": vae.condition and vae.condition.classes,
        "trained_in": vae.dtype_policy.name,
        "steps": int(vae.step.value),
        **{part: type(getattr(vae, part)).__name__ for part in parts},
        "versions": {
            "kvae": kvae.__version__,
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
        },
    }


def _detection(detection: Detection | None) -> dict[str, Any]:
    """How the endpoint `detect` decides."""
    if detection is None:
        return {}
    detector = detection.detector
    return {
        "detection": {
            "score": detector.score_function.label,
            "unit": detector.score_function.unit,
            "alpha": detection.alpha,
            "calibration_examples": detector.num_calibration,
        }
    }


def _columns(vae: Any) -> dict[str, Any]:
    """How a client sends the columns of a table."""
    if vae.schema is None:
        return {}
    return {"columns": [each.describe() for each in column_inputs(vae.schema)]}


def _usage(vae: Any, x: Any) -> dict[str, list[float] | None]:
    """What each latent carries, for pages that show those that matter first.

    The mean KL(q(z[d]|x) || p(z[d])), nats, where the prior is factorized; and the variance
    over x of the mean of q(z[d]|x). None where it isn't known.
    """
    names = ("rate_per_latent", "variance_per_latent")
    if x is None:
        return dict.fromkeys(names)
    try:
        found = latent_usage(vae, first_rows(vae.read_inputs(x), _RATED))
    except ValueError:  # too few examples
        return dict.fromkeys(names)
    values = (found.rate_per_dimension, found.mean_variance)
    return {
        name: None if value is None or not np.isfinite(value).all() else value.tolist()
        for name, value in zip(names, values, strict=True)
    }


def _manifest(
    about: dict[str, Any], files: list[dict[str, Any]], stage: Path
) -> dict[str, Any]:
    return {
        "format": 1,
        "model": about,
        "files": files,
        "sha256": {
            str(path.relative_to(stage)): verification.sha256(path)
            for path in sorted(stage.rglob("*"))
            if path.is_file()
        },
    }


def _write_manifest(path: Path, content: dict[str, Any]) -> None:
    content = json.loads(json.dumps(content))  # as it is read back
    content["digest"] = verification.digest(content)
    with path.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
