"""What Keras' callbacks need to know about a VAE: what to print, and what is better."""

from __future__ import annotations

import sys
import time
from typing import Any

import keras

_COLUMNS = 80
_SHOWN = ("elbo", "val_elbo", "rate", "distortion", "loss")
"""The metrics to print, most important first, as far as they fit; `History` has all."""


class ProgressLine(keras.callbacks.ProgbarLogger):
    """Keras' progress with fewer metrics, so that an epoch is one line.

    A VAE reports a dozen values, which would fill three lines of a terminal.
    """

    async_safe = True  # reads the logs only when it draws, five times a second

    target: int | None  # of Keras, which does not declare it

    def __init__(self) -> None:
        super().__init__()
        self._label = ""
        self._began = self._drawn = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock of an epoch."""
        self._label = f"Epoch {epoch + 1}/{self.epochs}  "
        self._maybe_init_progbar()

    def _maybe_init_progbar(self) -> None:
        self.seen = 0
        self._began = time.monotonic()

    def _update_progbar(self, batch: int, logs: Any = None) -> None:
        self.seen = batch + 1
        live = sys.stdout.isatty() or "ipykernel" in sys.modules
        if self.verbose == 1 and live and time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            self._print(logs, "\r")

    def _finalize_progbar(self, logs: Any) -> None:
        self.seen = self.target or self.seen
        if self.verbose:
            self._print(logs, "\n")

    def _print(self, logs: Any, end: str) -> None:
        of = f"/{self.target or self.seen}"
        seconds = time.monotonic() - self._began
        head = f"{self._label}{self.seen}{of}  {seconds:.0f}s"
        line = progress_line(head, logs or {})
        print(f"\r{line:{_COLUMNS - 1}}", end=end, flush=True)


def progress_line(head: str, logs: dict[str, Any]) -> str:
    """Appends the metrics that fit into 80 columns; the loss only if there is no other.

    Args:
        head: for example "Epoch 3/20  469/469  3s".
        logs: by name, nats.

    Returns:
        line: at most 80 characters, if the head is shorter.
    """
    named = {name: f"{name} {float(logs[name]):.2f}" for name in _SHOWN if name in logs}
    if len(named) > 1:
        named.pop("loss", None)
    line, shown = head, []
    for name, text in named.items():
        if len(line) + 2 + len(text) < _COLUMNS:
            line += "  " + text
            shown.append(name)
    return "  ".join([head, *(named[name] for name in sorted(shown, key=_order))])


def _order(name: str) -> tuple[bool, int]:
    return name.startswith("val_"), _SHOWN.index(name)


_UP = {"elbo": "max", "rate": "min", "distortion": "min", "bits_per_dim": "min"}


def set_modes(callbacks: Any) -> None:
    """Tells callbacks such as `EarlyStopping` whether more of our metrics is better.

    Args:
        callbacks: of `fit`; those whose mode is "auto" are changed.
    """
    for callback in keras.tree.flatten(callbacks or []):
        name = str(getattr(callback, "monitor", "")).removeprefix("val_")
        if getattr(callback, "mode", None) == "auto" and name in _UP:
            callback.mode = _UP[name]


def with_progress(arguments: dict[str, Any]) -> dict[str, Any]:
    """Adds the line to the arguments of `fit` or `evaluate`, unless they have a bar.

    Args:
        arguments: by name, among them "verbose" and "callbacks".

    Returns:
        arguments: unchanged if nothing is printed or the callbacks are complete.
    """
    given = arguments["callbacks"]
    if isinstance(given, keras.callbacks.CallbackList) or not arguments["verbose"]:
        return arguments
    callbacks = list(keras.tree.flatten(given or []))
    if any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks):
        return arguments
    return {**arguments, "callbacks": [*callbacks, ProgressLine()]}
