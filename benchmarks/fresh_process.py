"""A benchmark that runs itself again, so that memory and start-up are of one step alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def start(file: str, *arguments: str) -> Any:
    """Runs a file with other arguments; returns the JSON of its last line."""
    done = subprocess.run(
        [sys.executable, file, *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
