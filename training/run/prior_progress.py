"""The progress that a user sees while a prior is fitted."""

from __future__ import annotations

import time
from typing import Any

import keras
import rich.console
import rich.progress

_SECONDS = 20.0  # between two lines, where there is no terminal


class PriorProgress(keras.callbacks.Callback):
    """Shows a moving line with the time left, or occasional lines without a terminal.

    Args:
        name: of the prior.
        console: where to print; standard error if None.
    """

    def __init__(self, name: str, console: rich.console.Console | None = None) -> None:
        super().__init__()
        self.name = name
        self.console = console or rich.console.Console(stderr=True, highlight=False)
        self._bar: rich.progress.Progress | None = None
        self._task: Any = None
        self._printed = self._measured = 0.0

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock, and on a terminal the moving line."""
        self._printed = time.monotonic()
        if not self.console.is_terminal:
            return
        self._bar = rich.progress.Progress(
            rich.progress.TextColumn(f"fitting {self.name}"),
            rich.progress.BarColumn(bar_width=16),
            rich.progress.TextColumn("{task.fields[loss]}"),
            rich.progress.TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=self.params["epochs"], loss="")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Moves the line, or prints one if the last was printed long ago."""
        loss, now = f"loss {float((logs or {})['loss']):.3f}", time.monotonic()
        done, total = epoch + 1, self.params["epochs"]
        if done == 1:  # it took the compilation too, so it says nothing of the others
            self._measured = now
        if self._bar is not None:
            self._bar.update(self._task, completed=done, loss=loss)
        elif now - self._printed >= _SECONDS:
            self._printed = now
            line = f"fitting {self.name}  {100 * done // total:2d} %  {loss}"
            if done > 1:
                each = (now - self._measured) / (done - 1)
                line += f"  about {_duration(each * (total - done))} left"
            self.console.print(line, soft_wrap=True)

    def on_train_end(self, logs: Any = None) -> None:
        """Removes the moving line; `close` does the same after an error."""
        self.close()

    def close(self) -> None:
        """Releases the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
