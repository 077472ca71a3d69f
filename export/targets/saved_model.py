"""The target SavedModel, in the layout that TF Serving watches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from kvae.core.atomic import staged
from kvae.export.checks.verification import limits_of
from kvae.export.model_checks import check_built, check_detector, check_trained
from kvae.export.signatures import Detection, Signature, Signatures
from kvae.export.targets.float32_copy import as_float32
from kvae.export.targets.target import Converted, Target, Task


class SavedModel(Target):
    """Every endpoint in one SavedModel, saved_model/1, for servers."""

    kind = "saved_model"

    def convert(self, task: Task) -> Converted:
        """Writes saved_model/1."""
        path = task.stage / "saved_model" / "1"
        endpoints = task.endpoints.choose()
        write_archive(endpoints, path)
        size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
        return Converted([self.entry("saved_model/1", endpoints) | {"bytes": size}])

    def limits(self, precision: str) -> dict[str, float]:
        """Allows a few roundings of float32, for every output."""
        return limits_of(precision)


def saved_model(
    vae: Any,
    directory: Any,
    version: int | None = None,
    *,
    detector: Any = None,
    alpha: float = 0.01,
    allow_untrained: bool = False,
) -> Path:
    """Writes a SavedModel as a new version of a servable.

    It offers decode, generate, encode, reconstruct and score, complete if the model has
    it, and detect if there is a detector, in float32, and loads without kvae, keras or
    TFP. The version directory appears complete, by a rename, so a server that polls
    `directory` never sees half a model.

    Args:
        vae: a built `kvae.VAE`.
        directory: the servable's directory; created if missing.
        version: a positive integer; the next free one if None.
        detector: a calibrated `kvae.detection.Detector` of this model.
        alpha: the share of false alarms of `detect`.
        allow_untrained: write a model that was never trained.

    Returns:
        path: directory/version.

    Raises:
        ValueError: if the model is not built or trained, or the version is not positive.
        FileExistsError: if the version already exists.
        WriteError: if the disk is full or read-only.
    """
    check_built(vae)
    if not allow_untrained:
        check_trained(vae)
    directory = Path(directory).absolute()
    if version is None:
        version = max(versions(directory), default=0) + 1
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"version must be a positive integer; received {version!r}.")
    path = directory / str(version)
    if path.exists():
        raise FileExistsError(
            f"{path} exists. Leave out version to get the next free one."
        )
    detection = None
    if detector is not None:
        detection = Detection(detector, check_detector(vae, detector, alpha))
    with staged(path) as stage:
        write_archive(Signatures(as_float32(vae), detection).choose(), stage)
    return path


def versions(directory: Path) -> list[int]:
    """Lists the versions that a server would find in a servable's directory, in order."""
    if not directory.is_dir():
        return []
    return sorted(int(d.name) for d in directory.iterdir() if d.name.isdigit())


def write_archive(
    endpoints: list[Signature], path: Path, gradients: bool = True
) -> None:
    """Writes endpoints as one SavedModel; the first is the default signature too.

    Only the variables that the endpoints read are stored, each once, but not those of
    the optimizer or the counters of training.

    Args:
        endpoints: of one model, in the form "server" or "device".
        path: to write to; a directory that may exist.
        gradients: store the custom gradients of activations too, which takes as long as
            all the rest; without them, what is loaded can't be differentiated.
    """
    module = tf.Module()
    functions = {}
    for endpoint in endpoints:
        functions[endpoint.name] = endpoint.graph
        setattr(module, endpoint.name, endpoint.graph)
    variables = {v.ref(): v for f in functions.values() for v in f.variables}
    module.weights = list(variables.values())
    functions["serving_default"] = functions[endpoints[0].name]
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=gradients)
    tf.saved_model.save(module, str(path), signatures=functions, options=options)
