"""What a process of throughput.py says and hears: one epoch per turn, then its numbers.

Standard output is the wire, so what a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any


class Turns:
    """One system's side of the wire.

    The first epoch runs at once, for it compiles; every later one waits for its turn.
    """

    def __init__(self) -> None:
        self._wire = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._began = float(os.environ["THROUGHPUT_BEGAN"])
        self._first = True
        self._at = self._used = 0.0

    def since_start(self, what: str, **facts: Any) -> None:
        """Reports how long the process lives: at `imported` and at `built`."""
        self._say({what: time.time() - self._began, **facts})

    def begin(self) -> None:
        """Waits for the turn; ends the process if there is none left."""
        if not self._first and sys.stdin.readline().strip() != "go":
            os._exit(0)
        self._at, self._used = time.perf_counter(), time.process_time()

    def end(self, facts: Callable[[], dict[str, Any]] = dict) -> None:
        """Reports an epoch: wall clock, processor time, peak memory so far.

        `facts` adds what it measures of the model, in time that doesn't count.
        """
        numbers = {
            "seconds": time.perf_counter() - self._at,
            "cpu": time.process_time() - self._used,
            "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        if self._first:
            numbers["ready"] = time.time() - self._began
            numbers["ready_cpu"] = time.process_time()
        self._first = False
        self._say({**numbers, **facts()})

    def _say(self, facts: dict[str, Any]) -> None:
        self._wire.write(json.dumps(facts) + "\n")
        self._wire.flush()
