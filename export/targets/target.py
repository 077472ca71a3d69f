"""The protocol of export targets, and what they get to write their files."""

from __future__ import annotations

import abc
import dataclasses
from pathlib import Path
from typing import Any

from kvae.export.checks.verification import Runner, load_runner
from kvae.export.signatures import Signature, Signatures


@dataclasses.dataclass(frozen=True)
class Choices:
    """The user's choices for an export; a target uses those that concern it.

    Attributes:
        precisions: of the files, any of `kvae.export.PRECISIONS`.
        batches: None means a free batch size, a number a fixed one.
        whole_model: also write files with every endpoint, besides those of the decoder.
        license: of the weights, for the cards.
    """

    precisions: tuple[str, ...] = ("float32",)
    batches: tuple[int | None, ...] = (None,)
    whole_model: bool = False
    license: str | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """One export, as its targets see it.

    Attributes:
        endpoints: of the model, a `kvae.VAE` in float32.
        stage: the directory being written; it holds parity.npz.
        about: the description of the model in the manifest.
        x: real examples, or None.
        choices: of the user.
    """

    endpoints: Signatures
    stage: Path
    about: dict[str, Any]
    x: Any
    choices: Choices

    @property
    def model(self) -> Any:
        """The `kvae.VAE` in float32."""
        return self.endpoints.model


@dataclasses.dataclass(frozen=True)
class Converted:
    """The files that a target wrote.

    Attributes:
        files: one entry of the manifest each, from `Target.entry`.
        refused: endpoints that this target doesn't support, and why.
    """

    files: list[dict[str, Any]]
    refused: dict[str, str] = dataclasses.field(default_factory=dict)


class Target(abc.ABC):
    """A kind of file that a model is exported to. `kvae.export.TARGETS` lists them.

    Subclassing guide: define `kind`, `convert` and `limits`, and in `runner` name the
    file that runs the output of `convert`. That file travels with the export, and runs
    in a process without kvae and Keras, which compares every output with that of Keras.
    So it must not import either, and defines

        load(path) -> run,   run(signature, inputs) -> outputs, arrays by name
    """

    kind: str
    """The name of its files in the manifest, such as "saved_model"."""

    runner: Path | None = None
    """The file that defines `load`; None for kinds that verify.py knows itself."""

    def check(self, choices: Choices) -> None:
        """Raises, before anything is computed, if the choices can't be met.

        Raises:
            ImportError: if a package is missing, with the command that installs it.
            ValueError: if there is no such choice.
        """
        del choices

    @abc.abstractmethod
    def convert(self, task: Task) -> Converted:
        """Writes the files of one export to `task.stage`.

        Raises:
            ExportRefused: if this target does not support a part of the model.
        """

    @abc.abstractmethod
    def limits(self, precision: str) -> dict[str, float]:
        """The largest difference from Keras by output, "*" for all others.

        It is in units of max(1, largest value). An output without a limit is compared
        and reported, but can't fail.
        """

    def run(self, path: Path) -> Runner:
        """Loads a file of this target: a function of a signature's name and inputs."""
        runners = {} if self.runner is None else {self.kind: self.runner}
        return load_runner(self.kind, path, runners)

    def entry(
        self, path: str, endpoints: list[Signature], precision: str = "float32"
    ) -> dict[str, Any]:
        """Makes the manifest entry of a file.

        Args:
            path: of the file, relative to the export.
            endpoints: that it contains.
            precision: of its numbers.
        """
        return {
            "path": path,
            "kind": self.kind,
            "precision": precision,
            "batch": endpoints[0].batch,
            "signatures": {
                endpoint.name: {
                    spec.name: {"shape": list(spec.shape), "dtype": spec.dtype.name}
                    for spec in endpoint.inputs
                }
                for endpoint in endpoints
            },
            "limits": self.limits(precision),
        }
