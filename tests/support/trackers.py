"""Doubles of the trackers and the tuner in docs/trackers.md, which tests do without.

They have the names, arguments, and callbacks that the document uses, and keep what is
logged.
"""

import contextlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest

MLFLOW: dict[str, float] = {}
WANDB: dict[str, float] = {}


class MlflowCallback(keras.callbacks.Callback):
    """Logs the optimizer's settings, the summary, and the metrics of epochs."""

    def on_train_begin(self, logs: Any = None) -> None:
        lines: list[str] = []
        self.model.summary(print_fn=lambda line, *_, **__: lines.append(line))
        assert lines
        assert self.model.optimizer.get_config()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        MLFLOW.update(logs)


class WandbMetricsLogger(keras.callbacks.Callback):
    """Logs the metrics of epochs and the learning rate."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        WANDB.update(logs, learning_rate=float(self.model.optimizer.learning_rate))


class WandbRun:
    """A run that checks that pictures are arrays of colors."""

    def log(self, values: dict[str, Any]) -> None:
        assert values["samples"].shape[-1] == 3


@contextlib.contextmanager
def started(**_: Any) -> Iterator[WandbRun]:
    yield WandbRun()


class Hyperparameters:
    """The smallest value of each."""

    def Int(self, name: str, low: int, high: int, step: int) -> int:
        return low

    def Float(self, name: str, low: float, high: float, sampling: str) -> float:
        return low


class RandomSearch:
    """One trial, whose objective must be among the logs."""

    def __init__(self, build: Any, objective: Any, max_trials: int, directory: str):
        self.build, self.name = build, objective[0]

    def search(self, *arguments: Any, **keywords: Any) -> None:
        self.model = self.build(Hyperparameters())
        assert isinstance(self.model, keras.Model)  # as KerasTuner demands
        history = self.model.fit(*arguments, **keywords).history
        assert len(history[self.name]) == keywords["epochs"]

    def get_best_models(self) -> list[Any]:
        return [self.model]


def install(patch: pytest.MonkeyPatch) -> None:
    """Puts doubles where `import` finds them."""
    mlflow = {
        "start_run": contextlib.nullcontext,
        "log_params": dict,
        "log_artifact": lambda path: Path(path).stat(),
        "keras": types.SimpleNamespace(MlflowCallback=MlflowCallback),
    }
    doubles: dict[str, dict[str, Any]] = {
        "mlflow": mlflow,
        "wandb": {"init": started, "Image": lambda picture: picture},
        "wandb.integration": {},
        "wandb.integration.keras": {"WandbMetricsLogger": WandbMetricsLogger},
        "keras_tuner": {
            "RandomSearch": RandomSearch,
            "Objective": lambda name, direction: (name, direction),
        },
    }
    for name, values in doubles.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        patch.setitem(sys.modules, name, module)
