"""The folder that holds everything you need to repeat and judge a run."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import pathlib
import platform
import shutil
from typing import Any

import numpy as np

import kvae
from kvae.core.atomic import (
    make_folder,
    remove_litter,
    replacing,
    write_json,
    write_text,
)
from kvae.core.command import command_name
from kvae.core.errors import UserError, is_damage
from kvae.training.config.config import Config, differences
from kvae.training.config.toml import parse_toml, read_toml, to_toml
from kvae.training.run.metrics_file import check_metrics
from kvae.training.run.model_file import load_model_file

_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """The files of a run, by name.

    Every file appears whole, by a rename, so a process that dies leaves the previous
    file; its half-written files are removed when the folder is next opened.

    A run exists as soon as its run.json does. It holds the configuration too;
    config.toml is there for you to read and reuse, and must agree with it.

    Attributes:
        path: of the folder.
    """

    path: pathlib.Path

    @classmethod
    def create(cls, path: Any) -> RunDirectory:
        """Creates the folder of a new run.

        Raises:
            UserError: if the folder already exists and is not empty.
            WriteError: if the folder cannot be created.
        """
        path = pathlib.Path(path).expanduser()
        run = cls(path)
        remove_litter(path)
        exists = run.config_file.exists() or run._config_text() is not None
        if exists and not run.is_finished():
            raise UserError(
                f"{path} holds a run that did not finish; resume it with "
                f"{command_name()} train --resume {path}, choose another --out, or "
                "remove it."
            )
        of_a_start = {run.checkpoints, run.facts_file}  # of a run killed at its start
        if path.is_dir() and not of_a_start.issuperset(path.iterdir()):
            kind = "a run" if exists else "files"
            raise UserError(
                f"{path} exists and holds {kind}; choose another --out, or remove it."
            )
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} exists and is not a folder; choose another --out.")
        make_folder(path)
        return run

    @classmethod
    def open(cls, path: Any, finished: bool = True) -> RunDirectory:
        """Finds the folder of a run.

        Args:
            path: of the folder.
            finished: whether the run must have a model.

        Raises:
            UserError: if it does not exist, or is not that of a run.
        """
        path = pathlib.Path(path).expanduser()
        if not path.is_dir():
            raise UserError(f"there is no run {path}; check the path.")
        run = cls(path)
        remove_litter(path)
        if not run.config_file.is_file():
            if (text := run._config_text()) is None:
                again = " It was killed before it began, so run its command again."
                raise UserError(
                    f"{path} is not a run: it has no config.toml; use the --out of "
                    f"kvae train.{again if run.checkpoints.is_dir() else ''}"
                )
            write_text(run.config_file, text)  # killed between the two files
        if finished and not run.model_file.is_file():
            raise UserError(
                f"{path} has no model.keras, so its training did not finish; resume it "
                f"with {command_name()} train --resume {path}."
            )
        return run

    def is_finished(self) -> bool:
        """Whether the run has its model, and no checkpoints to resume from."""
        return self.model_file.is_file() and not any(self.checkpoints.glob("*.npz"))

    @property
    def config_file(self) -> pathlib.Path:
        """The full configuration; `kvae train config.toml` repeats the run."""
        return self.path / "config.toml"

    @property
    def facts_file(self) -> pathlib.Path:
        """The start of the run: configuration, versions, machine and data."""
        return self.path / "run.json"

    @property
    def checkpoints(self) -> pathlib.Path:
        """The checkpoints to resume from; removed when the run is finished."""
        return self.path / "checkpoints"

    @property
    def pictures(self) -> pathlib.Path:
        """The pictures that the model drew during training."""
        return self.path / "pictures"

    @property
    def model_file(self) -> pathlib.Path:
        """The trained model."""
        return self.path / "model.keras"

    @property
    def trained_file(self) -> pathlib.Path:
        """The model with the prior of its training, where another was fitted since."""
        return self.path / "trained.keras"

    @property
    def last_good_file(self) -> pathlib.Path:
        """The last good model of a training that diverged."""
        return self.path / "last_good.keras"

    @property
    def history_file(self) -> pathlib.Path:
        """One row per epoch."""
        return self.path / "history.csv"

    @property
    def metrics_file(self) -> pathlib.Path:
        """The numbers, each with estimator and sample count."""
        return self.path / "metrics.json"

    def write_config(self, config: Config, data: dict[str, Any]) -> None:
        """Writes run.json, which makes the folder a run, and config.toml."""
        text = to_toml(config.to_dict())
        facts = {"seed": config.seed, "versions": versions(), "data": data}
        write_json(self.facts_file, {**facts, "config": text})
        write_text(self.config_file, text)

    def change_config(self, config: Config) -> None:
        """Writes another configuration; a killed process leaves the old or the new one."""
        text = to_toml(config.to_dict())
        self.config_file.unlink()  # `open` writes it again as run.json says
        write_json(self.facts_file, {**self.facts(), "config": text})
        write_text(self.config_file, text)

    def facts(self) -> dict[str, Any]:
        """The contents of run.json; empty if it is missing or damaged."""
        try:
            found = json.loads(self.facts_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            if not is_damage(error):
                raise
            return {}
        return found if isinstance(found, dict) else {}

    def _config_text(self) -> str | None:
        """Returns the configuration that the run began with; None for older runs."""
        text = self.facts().get("config")
        return text if isinstance(text, str) else None

    def _data_fact(self, key: str) -> Any:
        data = self.facts().get("data")
        return data.get(key) if isinstance(data, dict) else None

    def check_data(self, described: dict[str, Any]) -> None:
        """Raises UserError if the data have changed since the run began."""
        now = json.loads(json.dumps(described))
        for key in (
            "shape",
            "train",
            "validation",
            "test",
            "dtype",
            "divisor",
            "label_names",
        ):
            before = self._data_fact(key)
            if before is not None and before != now[key]:
                raise UserError(
                    f"the data of {self.path} have changed since it was trained: "
                    f"{key.replace('_', ' ')} was {before} and is {now[key]}. Its "
                    "split into training and test examples is now different; restore "
                    "the data, or train a new run."
                )
        before = self._data_fact("checksums")
        if isinstance(before, dict):
            changed = [k for k, v in now["checksums"].items() if before.get(k) != v]
            if changed:
                raise UserError(
                    f"the data of {self.path} have changed since it was trained: their "
                    f"number is the same, but {', '.join(changed)} hold other values. "
                    "Restore the data, or train a new run."
                )

    def write_model(self, vae: Any) -> None:
        """Writes model.keras, as training has left it."""
        self.trained_file.unlink(missing_ok=True)  # from before further training
        with replacing(self.model_file) as beside:
            vae.save(beside)

    def write_fitted(self, vae: Any) -> None:
        """Writes model.keras with a fitted prior, and keeps the trained model."""
        if not self.trained_file.is_file():
            with replacing(self.trained_file) as beside:
                shutil.copyfile(self.model_file, beside)
        with replacing(self.model_file) as beside:
            vae.save(beside)

    def undo_fitted(self) -> None:
        """Gives the trained model its place back."""
        self.trained_file.replace(self.model_file)

    def load_trained(self) -> Any:
        """Loads the model with the prior of its training.

        Raises:
            UserError: as `load_model`.
        """
        fitted = self.trained_file.is_file()
        return load_model_file(self.trained_file) if fitted else self.load_model()

    def write_last_good(self, vae: Any) -> None:
        """Writes last_good.keras: the model before training diverged."""
        with replacing(self.last_good_file) as beside:
            vae.save(beside)

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        """Writes metrics.json."""
        write_json(self.metrics_file, metrics)

    def check_versions(self) -> list[str]:
        """Says what has changed since the run began, according to run.json."""
        before = self.facts().get("versions")
        if not isinstance(before, dict):
            return ["run.json is missing or damaged"]
        now = versions()
        names = sorted(set(before) | set(now))
        return [
            f"{name} was {before.get(name)} and is {now.get(name)}"
            for name in names
            if before.get(name) != now.get(name)
        ]

    def finish(self) -> None:
        """Removes the checkpoints, because the model is complete."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def read_config(self) -> Config:
        """Reads config.toml back.

        Raises:
            UserError: if it is damaged, or has changed since the run began.
        """
        try:
            changed, config = "", Config.of(read_toml(self.config_file))
            if (text := self._config_text()) is not None:
                began = Config.of(parse_toml(text)).deciding()
                changed = differences(began, config.deciding())
        except UserError as error:
            raise UserError(f"{self.config_file}: {error}") from error
        if changed:
            raise UserError(
                f"{self.config_file} was changed since the run began: {changed}. The "
                "run would mix numbers of both. Change it back, or train a new run: "
                f"{command_name()} train {self.config_file} --out NEW. --resume RUN "
                "--epochs N extends a finished run."
            )
        return config

    def read_metrics(self) -> dict[str, Any]:
        """Reads metrics.json back; empty if there is none.

        Raises:
            UserError: if it is damaged.
        """
        if not self.metrics_file.exists():
            return {}
        try:
            metrics = json.loads(self.metrics_file.read_text(encoding="utf-8"))
            check_metrics(metrics)
        except (OSError, ValueError, RecursionError) as error:
            if not is_damage(error):
                raise
            raise UserError(
                f"{self.metrics_file} is damaged ({error}); remove it and evaluate "
                "again."
            ) from error
        return metrics

    def pixel_range(self) -> tuple[float, float]:
        """The smallest and largest value a pixel can take, from run.json."""
        try:
            low, high = map(float, self._data_fact("pixel_range"))
        except (ValueError, TypeError):
            return (0.0, 1.0)
        return (low, high) if high > low else (0.0, 1.0)

    def integer_divisor(self) -> float | None:
        """The divisor of integers in training, from run.json; None for floats.

        It is also None for older runs, which did not record it.
        """
        try:
            divisor = float(self._data_fact("divisor"))
            integers = np.dtype(self._data_fact("dtype")).kind in "iub"
        except (ValueError, TypeError):
            return None
        return divisor if integers and divisor > 0 else None

    def label_names(self) -> list[str]:
        """The names of the labels in the order of their values, from run.json."""
        names = self._data_fact("label_names")
        return [str(name) for name in names] if isinstance(names, list) else []

    def load_model(self) -> Any:
        """Loads model.keras.

        Raises:
            UserError: if it is damaged or holds anything but parts of kvae and Keras.
        """
        return load_model_file(self.model_file)


def versions() -> dict[str, str]:
    """The versions that numbers depend on."""
    found = {"kvae": kvae.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = importlib.metadata.version(package)
    return {**found, "platform": platform.platform()}
