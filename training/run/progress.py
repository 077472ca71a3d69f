"""The progress that a user sees while a model trains."""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import rich.console
import rich.progress

WIDTH = 80
"""Columns of the narrowest terminal; lines are no longer, if their numbers fit."""


class Progress(keras.callbacks.Callback):
    """Prints one line per epoch, and on a terminal a moving line below them.

    Args:
        epochs: the number of epochs.
        steps: batches per epoch.
        batch_size: examples per batch.
        console: where to print; standard error if None.
    """

    # Logs come as tensors and are read only when the line is drawn: reading them after
    # each batch would wait for each batch.
    async_safe = True

    def __init__(
        self,
        epochs: int,
        steps: int,
        batch_size: int,
        console: rich.console.Console | None = None,
    ) -> None:
        super().__init__()
        self.epochs = epochs
        self.steps = steps
        self.batch_size = batch_size
        self.console = console or rich.console.Console(stderr=True, highlight=False)
        self._bar: rich.progress.Progress | None = None
        self._task: Any = None
        self._epoch = 0
        self._drawn = self._last = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Shows the moving line."""
        if not self.console.is_terminal:
            return
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn(
                "epoch {task.fields[epoch]}/{task.fields[epochs]}"
            ),
            rich.progress.BarColumn(bar_width=16),
            rich.progress.TextColumn("{task.fields[nats]}"),
            rich.progress.TextColumn("{task.fields[speed]}"),
            rich.progress.TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        total = self.epochs * self.steps
        self._task = self._bar.add_task(
            "", total=total, epoch=1, epochs=self.epochs, nats="", speed=""
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the time."""
        self._epoch = epoch
        self._last = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Redraws, at most five times a second."""
        now = time.monotonic()
        if self._bar is None or now - self._drawn < 0.2:
            return
        self._drawn = now
        rate = self.batch_size * (batch + 1) / max(now - self._last, 1e-9)
        self._bar.update(
            self._task,
            completed=self._epoch * self.steps + batch + 1,
            epoch=self._epoch + 1,
            nats="".join(_numbers(logs or {}, ("elbo",))),
            speed=f"{rate:,.0f} examples/s",
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Prints how the epoch ended."""
        seconds = time.monotonic() - self._last
        self.console.print(
            epoch_line(epoch + 1, self.epochs, logs or {}, seconds), soft_wrap=True
        )
        if self._bar is not None:
            self._bar.update(
                self._task, completed=(epoch + 1) * self.steps, epoch=epoch + 1
            )

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the moving line; `close` does the same after an error."""
        self.close()

    def close(self) -> None:
        """Releases the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def epoch_line(epoch: int, epochs: int, logs: dict[str, Any], seconds: float) -> str:
    """Formats one epoch, in nats per example.

        epoch 12/120  ELBO -91.20  rate 24.10  distortion 67.10  val -92.35  3.1 s

    If this exceeds 80 columns, the distortion is omitted: it is minus the sum of the
    other two.

    Args:
        epoch: its number, from 1.
        epochs: the number of epochs.
        logs: metrics by name, as Keras passes them to callbacks.
        seconds: how long the epoch took.
    """
    begin = f"epoch {epoch:{len(str(epochs))}}/{epochs}"
    names: tuple[str, ...] = ("elbo", "rate", "distortion", "val_elbo")
    if "elbo" not in logs:  # a deterministic code
        names = ("loss", "distortion", "val_loss")
    for chosen in (names, tuple(name for name in names if name != "distortion")):
        line = "  ".join([begin, *_numbers(logs, chosen), f"{seconds:.1f} s"])
        if len(line) <= WIDTH:
            break
    return line


_TITLES = {"elbo": "ELBO", "val_elbo": "val", "val_loss": "val"}


def _numbers(logs: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    values = [(name, float(logs[name])) for name in names if name in logs]
    return [f"{_TITLES.get(name, name)} {_number(value)}" for name, value in values]


def _number(value: float) -> str:
    if not math.isfinite(value) or abs(value) >= 1e7:
        return f"{value:.3e}"
    return f"{value:.2f}" if abs(value) < 1e4 else f"{value:.0f}"
