"""A lost worker ends the others with one sentence, and all continue together."""

import json
import pathlib
import signal
import time

import pytest
from support import loopback_workers

pytestmark = pytest.mark.slow

SCRIPT = pathlib.Path(__file__).with_name("train_with_checkpoints.py")


def test_a_killed_worker_is_named_and_training_goes_on(tmp_path: pathlib.Path) -> None:
    """In the end all stop and save where one is asked to."""
    folder = tmp_path / "run"
    killed = loopback_workers.start(2, SCRIPT, folder, "killed")
    killed[1].wait()
    began = time.monotonic()
    (status, output), (other, _) = loopback_workers.finish(killed, timeout=150)
    assert time.monotonic() - began < 60
    assert (status, other) == (1, -signal.SIGKILL)
    assert "WorkerLost: worker 1 ended or cannot be reached; look at" in output
    # Steps 2, 3 (an epoch is three steps), ... were due; the last two are kept.
    names = sorted(file.name for file in folder.glob("checkpoints/*.npz"))
    assert names[-1] == "000002-000000002.npz"

    resumed = loopback_workers.start(2, SCRIPT, folder)
    for status, output in loopback_workers.finish(resumed):
        assert status == 128 + signal.SIGTERM, output
        found = json.loads(output.partition("RESULT ")[2].splitlines()[0])
        assert found["epochs"] == 4
        assert found["weights"] == 0.0  # bit for bit
        assert found["elbo"] < 1e-5  # sums of two workers are added in another order
        assert "stopping; epoch 2, step 2 is saved" in output
    assert (tmp_path / "run-asked/checkpoints/000001-000000002.npz").exists()
