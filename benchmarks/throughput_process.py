"""One process of throughput.py, seen from the other end of its wire."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import tempfile
import time
from typing import Any

HERE = pathlib.Path(__file__).parent


class System:
    """One process that trains when it is told to."""

    def __init__(
        self, python: str, file: str, system: str, job: dict[str, Any]
    ) -> None:
        command = [python, str(HERE / file), system, json.dumps(job)]
        self.environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "THROUGHPUT_BEGAN": repr(time.time()),
        }
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.imported = self.hear()["imported"]
        built = self.hear()
        self.built, self.parameters = built["built"], built["parameters"]
        self.first = self.hear()
        self.ready = self.first["ready"]
        self.epochs: list[dict[str, float]] = []

    def hear(self) -> dict[str, Any]:
        """Waits for what the process says next."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"it ended:\n{self.log.read()[-3000:]}")
        return json.loads(line)

    def train(self) -> None:
        """Lets it train for an epoch."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.epochs.append(self.hear())

    def end(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def all(self, what: str) -> list[float]:
        """One number of every epoch."""
        return [epoch[what] for epoch in self.epochs]
