"""What a user sees while a model trains."""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import rich.console
import rich.progress

_SHOWN = ("elbo", "rate", "distortion")


class Progress(keras.callbacks.Callback):
    """A bar with nats on a terminal; elsewhere one line per epoch.

    Args:
        epochs: how many there will be.
        steps: batches per epoch.
        batch_size: examples per batch.
        console: where to; standard error if None.
    """

    # Logs come as tensors and are read only when the bar is drawn: reading them after
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
        """Shows the bar."""
        if not self.console.is_terminal:
            return
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn(
                "epoch {task.fields[epoch]}/{task.fields[epochs]}"
            ),
            rich.progress.BarColumn(bar_width=24),
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
            nats=describe(logs or {}),
            speed=f"{rate:,.0f} examples/s",
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Says where the epoch ended."""
        logs = logs or {}
        seconds = time.monotonic() - self._last
        line = f"epoch {epoch + 1}/{self.epochs}  {seconds:.1f} s  {describe(logs)}"
        validation = {
            k.removeprefix("val_"): v for k, v in logs.items() if k[:4] == "val_"
        }
        if validation:
            line += f"  validation {describe(validation, ('elbo',))}"
        if self._bar is None:
            self.console.print(line, soft_wrap=True)
        else:
            self._bar.update(
                self._task,
                completed=(epoch + 1) * self.steps,
                epoch=epoch + 1,
                nats=describe(logs),
            )

    def on_train_end(self, logs: Any = None) -> None:
        """Takes the bar away; `close` does the same after an error."""
        self.close()

    def close(self) -> None:
        """Gives the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def describe(logs: dict[str, Any], names: tuple[str, ...] = _SHOWN) -> str:
    """Formats metrics in nats: 'ELBO -91.20 rate 24.10 distortion 67.10 nats'."""
    values = [(name, float(logs[name])) for name in names if name in logs]
    words = [
        f"{'ELBO' if name == 'elbo' else name} "
        + (f"{value:.2f}" if math.isfinite(value) else str(value))
        for name, value in values
    ]
    return " ".join([*words, "nats"]) if words else ""
