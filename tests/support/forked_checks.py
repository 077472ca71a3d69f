"""The checks of an export in forks of one process: TensorFlow is imported once for all.

That process is like the one of `kvae.export.checks.verify.run_checks`: it has imported
TensorFlow and LiteRT where kvae, keras and TFP may not be imported, and nothing else.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvae.export.checks import verification, verify

# Reads what to run, arguments and files for its output, and answers with the status.
_PROGRAM = """
import json, os, runpy, sys
sys.meta_path.insert(0, runpy.run_path(sys.argv[1])["Forbid"]())
import tensorflow
import ai_edge_litert.interpreter
for line in sys.stdin:
    arguments, files = json.loads(line)
    if (child := os.fork()) == 0:
        for number, name in enumerate(files, 1):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), number)
        sys.argv, status = arguments, 0
        try:
            runpy.run_path(arguments[0], run_name="__main__")
        except SystemExit as done:
            status = done.code or 0
        sys.stdout.flush()
        os._exit(status)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """Stands in for the module `subprocess` where checks are started."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[str] | None = None

    def run(
        self, command: list[str], **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Runs the checks; of the options of `subprocess.run` it needs none."""
        assert command[:3] == [sys.executable, "-P", verification.__file__]
        if self._parent is None:
            settings = {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
            self._parent = subprocess.Popen(
                [*command[:2], "-c", _PROGRAM, verification.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | settings,
            )
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / name for name in ("out", "err")]
            task = [command[2:], [str(file) for file in files]]
            print(json.dumps(task), file=self._parent.stdin, flush=True)
            status = int(self._parent.stdout.readline())
            said = [file.read_text() for file in files]
        return subprocess.CompletedProcess(command, status, *said)

    def end(self) -> None:
        if self._parent is not None:
            self._parent.communicate()


@contextlib.contextmanager
def forked_checks() -> Iterator[None]:
    """Lets exports and `verify` check their files in forks."""
    forks = Forks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "subprocess", forks)
        yield
    forks.end()
