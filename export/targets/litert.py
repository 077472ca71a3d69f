"""The target LiteRT: .tflite files for phones and browsers, each with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kvae.core.atomic import check_new, write_new
from kvae.export.checks.cost import measure
from kvae.export.checks.delegation import outside_xnnpack
from kvae.export.checks.verification import compare, limits_of, load_cases
from kvae.export.errors import ExportRefused
from kvae.export.model_checks import (
    check_built,
    check_detector,
    check_trained,
    require_litert,
)
from kvae.export.signatures import Detection, Signatures
from kvae.export.targets.card import attach_card, make_card
from kvae.export.targets.float32_copy import as_float32
from kvae.export.targets.litert_conversion import PRECISIONS, check_runs, convert
from kvae.export.targets.target import Choices, Converted, Target, Task

_NOT_IN_INT8 = ("generate", "score", "complete", "detect")
"""In integers, a seed would give other latents, nats and scores would have 256 levels, and
visible entries would be rounded."""

_Contents = dict[tuple[tuple[str, ...], str, int | None], bytes]
"""Files by endpoints, precision and batch size."""


class LiteRT(Target):
    """Files of only LiteRT built-in operations: decoders, and whole models on request."""

    kind = "litert"

    def check(self, choices: Choices) -> None:
        """Raises unless the runtime is installed and the choices are valid."""
        require_litert()
        _check_choices(choices.precisions, choices.batches)

    def convert(self, task: Task) -> Converted:
        """Writes litert/*.tflite, a file for each precision and batch size."""
        (task.stage / "litert").mkdir()
        whole: tuple[str, ...] = ()
        refused: dict[str, str] = {}
        known: _Contents = {}
        if task.choices.whole_model:
            whole, refused = _convertible(task.endpoints, known)
        files = []
        for precision in task.choices.precisions:
            left_out = _NOT_IN_INT8 if precision == "int8" else ()
            most = tuple(name for name in whole if name not in left_out)
            for batch in task.choices.batches:
                for stem, names in (("decoder", ("decode",)), ("model", most)):
                    if names:
                        path = f"litert/{_file_name(stem, precision, batch)}"
                        content = known.get((names, precision, batch))
                        if content is None:
                            content = _content(
                                task.endpoints, names, precision, batch, task.x
                            )
                        files.append(
                            self._write(task, path, names, precision, batch, content)
                        )
        return Converted(files, refused)

    def limits(self, precision: str) -> dict[str, float]:
        """In float32, allows a few roundings for every output; else limits only images.

        That limit only tells a rounded file from a broken one; the cost of rounding is
        reported in nats.
        """
        return limits_of(precision)

    def _write(
        self,
        task: Task,
        path: str,
        names: tuple[str, ...],
        precision: str,
        batch: int | None,
        content: bytes,
    ) -> dict[str, Any]:
        """Writes one file with its card, and returns its entry in the manifest."""
        chosen = task.endpoints.choose(names, "device", batch)
        file = self.entry(path, chosen, precision)
        trial = task.stage / "trial.tflite"
        write_new(trial, content)
        try:
            card = self._measure(task, file, trial)
        finally:
            trial.unlink()
        content = attach_card(content, card)
        write_new(task.stage / path, content)
        return file | {"bytes": len(content)}

    def _measure(self, task: Task, file: dict[str, Any], trial: Path) -> dict[str, Any]:
        """Adds the cost of a file to its entry, and makes its card."""
        run = self.run(trial)
        rows = compare(run, file, load_cases(task.stage / "parity.npz"))
        file["cost"] = measure(task.model, run, file, task.x)
        file["outside_xnnpack"] = outside_xnnpack(trial)
        support, license = task.model.likelihood.support, task.choices.license
        return make_card(task.about, file, support, license, rows, file["cost"])


def litert(
    vae: Any,
    path: Any,
    precision: str = "float32",
    signatures: tuple[str, ...] = ("decode",),
    batch: int | None = None,
    x: Any = None,
    *,
    detector: Any = None,
    alpha: float = 0.01,
    allow_untrained: bool = False,
) -> Path:
    """Writes a .tflite file that uses only LiteRT built-in operations.

    The file is run at several batch sizes before it gets its name.

    Args:
        vae: a built `kvae.VAE`.
        path: of the file, ending in .tflite.
        precision: "float32"; "float16" halves the size of the weights; "int8_dynamic"
            quarters it and rounds activations at run time; "int8" computes in
            calibrated integers, with float32 inputs and outputs.
        signatures: the endpoints in the file; they share weights.
        batch: a fixed number of examples per call, or None for any.
        x: (N, *data_shape) real examples that calibrate "int8", next to draws from the
            model itself.
        detector: a calibrated `kvae.detection.Detector` of this model, for the endpoint
            "detect".
        alpha: the share of false alarms of "detect".
        allow_untrained: write a model that was never trained.

    Returns:
        path: of the file.

    Raises:
        ImportError: if the LiteRT runtime is not installed.
        FileExistsError: if the path is taken.
        WriteError: if the disk is full or read-only.
        ValueError: for an untrained model, an unknown precision or signature; as
            `ExportRefused`, with part, operation and alternatives, if the model does
            not convert.
    """
    check_built(vae)
    if not allow_untrained:
        check_trained(vae)
    require_litert()
    if Path(path).suffix != ".tflite":
        raise ValueError(f"a LiteRT file is named *.tflite; received {str(path)!r}.")
    detection = None
    if detector is not None:
        detection = Detection(detector, check_detector(vae, detector, alpha))
    path = check_new(path)
    endpoints = Signatures(as_float32(vae), detection)
    write_new(path, _content(endpoints, signatures, precision, batch, x))
    return path


def _check_choices(
    precisions: tuple[str, ...], batches: tuple[int | None, ...]
) -> None:
    """Raises unless the precisions and batch sizes can be exported.

    Raises:
        ValueError: with the possible choices.
    """
    unknown = sorted(set(precisions) - set(PRECISIONS))
    if isinstance(precisions, str) or unknown or not precisions:
        raise ValueError(
            f"precisions must be a tuple of {', '.join(PRECISIONS)}; received "
            f"{precisions!r}."
        )
    if not batches or not all(
        b is None or (isinstance(b, int) and b >= 1) for b in batches
    ):
        raise ValueError(
            "batches must be a tuple of positive integers, or None for a free batch "
            f"size; received {batches!r}."
        )


def _convertible(
    endpoints: Signatures, known: _Contents
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the endpoints that LiteRT can run, and why it can't run the others.

    Adds the contents of the files that it had to convert to those known.
    """
    every = endpoints.offered
    try:
        known[every, "float32", None] = _content(endpoints, every)
    except ExportRefused:
        refused = {}
        for name in every:
            try:
                known[(name,), "float32", None] = _content(endpoints, (name,))
            except ExportRefused as error:
                refused[name] = str(error)
        return tuple(name for name in every if name not in refused), refused
    return every, {}


def _content(
    endpoints: Signatures,
    names: tuple[str, ...],
    precision: str = "float32",
    batch: int | None = None,
    x: Any = None,
) -> bytes:
    """Converts endpoints to the content of a file that runs."""
    content = convert(endpoints, names, precision, batch, x)
    check_runs(endpoints, names, content, batch)
    return content


def _file_name(stem: str, precision: str, batch: int | None) -> str:
    parts = [stem]
    if precision != "float32":
        parts.append(precision)
    if batch is not None:
        parts.append(f"batch{batch}")
    return "_".join(parts) + ".tflite"
