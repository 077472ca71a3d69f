"""What an export target is, and what it is given to write its files."""

from __future__ import annotations

import abc
import dataclasses
from pathlib import Path
from typing import Any

from kvae.export.checks.verification import Runner, load_runner
from kvae.export.signatures import Signature, Signatures


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the user asks of an export; a target takes what concerns it.

    Attributes:
        precisions: of the files, any of `kvae.export.PRECISIONS`.
        batches: None is a free batch size, a number a fixed one.
        whole_model: write files of every endpoint too, beside those of the decoder.
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
        stage: the directory that is being written; parity.npz is in it.
        about: what the manifest says of the model.
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
    """What a target wrote.

    Attributes:
        files: one entry of the manifest each, from `Target.entry`.
        refused: endpoints that have no form on this target, and why.
    """

    files: list[dict[str, Any]]
    refused: dict[str, str] = dataclasses.field(default_factory=dict)


class Target(abc.ABC):
    """A kind of file that a model is exported to. `kvae.export.TARGETS` lists them.

    Subclassing guide: give `kind`, `convert` and `limits`, and in `runner` the file that
    runs what `convert` writes. That file travels with the export, and runs in a process
    without kvae and Keras, which compares every output with that of Keras; so it imports
    neither, and defines

        load(path) -> run,   run(signature, inputs) -> outputs, arrays by name
    """

    kind: str
    """What the manifest calls its files, such as "saved_model"."""

    runner: Path | None = None
    """The file that defines `load`; None for kinds that verify.py knows itself."""

    def check(self, choices: Choices) -> None:
        """Raises, before anything is computed, if what is asked for cannot be had.

        Raises:
            ImportError: if a package is missing, naming the command that installs it.
            ValueError: if there is no such choice.
        """
        del choices

    @abc.abstractmethod
    def convert(self, task: Task) -> Converted:
        """Writes the files of one export below `task.stage`.

        Raises:
            ExportRefused: if a part of the model has no form on this target.
        """

    @abc.abstractmethod
    def limits(self, precision: str) -> dict[str, float]:
        """The largest difference to Keras by output, "*" for all others.

        It counts in units of max(1, largest value). An output without a limit is
        compared and reported, but does not fail.
        """

    def run(self, path: Path) -> Runner:
        """Loads a file of this target: a function of a signature's name and inputs."""
        runners = {} if self.runner is None else {self.kind: self.runner}
        return load_runner(self.kind, path, runners)

    def entry(
        self, path: str, endpoints: list[Signature], precision: str = "float32"
    ) -> dict[str, Any]:
        """Makes the entry of a file in the manifest.

        Args:
            path: of the file, relative to the export.
            endpoints: that it offers.
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
