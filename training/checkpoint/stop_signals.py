"""Handles requests to stop, at a moment that can be saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Terminated(SystemExit):
    """The process was asked to end by SIGTERM; exit status 143, by convention."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class StopSignals:
    """Remembers SIGTERM and the first Ctrl-C until training can stop.

    A second Ctrl-C interrupts at once. Outside the main thread, where Python doesn't
    allow handlers, signals act as before.
    """

    def __init__(self) -> None:
        self.pending: int | None = None

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catches signals while the block runs."""
        self.pending = None
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def act(self) -> None:
        """Ends the fit, if a signal asked for it.

        Raises:
            Terminated: after SIGTERM.
            KeyboardInterrupt: after Ctrl-C.
        """
        pending, self.pending = self.pending, None
        if pending == signal.SIGTERM:
            raise Terminated
        if pending == signal.SIGINT:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: Any) -> None:
        if number == signal.SIGINT and self.pending == signal.SIGINT:
            raise KeyboardInterrupt
        self.pending = number
