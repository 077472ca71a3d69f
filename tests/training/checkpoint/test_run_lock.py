"""One process per run directory."""

import pathlib
import signal
import subprocess
import sys

import pytest
from support import small

from kvae.core.errors import UserError
from kvae.training.checkpoint.run_lock import run_lock

HOLD = """
import pathlib, sys, time
from kvae.training.checkpoint.run_lock import run_lock
with run_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_the_second_is_refused_and_the_death_of_the_first_lets_go(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "checkpoints" / "lock"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdout=subprocess.PIPE,
        env=small.environment(),
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with (
            pytest.raises(UserError, match=f"in use by another.*number {first.pid}"),
            run_lock(path),
        ):
            pass
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    with run_lock(path):
        assert path.read_text().strip()
