"""A lost worker ends the others with one sentence, and all go on together."""

import pathlib

import loopback_workers

SCRIPT = pathlib.Path(__file__).with_name("train_with_checkpoints.py")


def test_a_killed_worker_is_named_and_training_goes_on(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "run"
    killed = loopback_workers.start(2, SCRIPT, folder, 8)
    (status, output), (other, _) = loopback_workers.finish(killed, timeout=150)
    assert other == -9
    assert status == 1
    assert "WorkerLost: another worker ended or cannot be reached" in output
    # Steps 2, 3 (an epoch is three steps), ... were due; the last two are kept.
    names = sorted(file.name for file in folder.glob("checkpoints/*.npz"))
    assert names[-1] == "000002-000000002.npz"
    for result in loopback_workers.results(loopback_workers.start(2, SCRIPT, folder)):
        (found,) = result
        assert found["epochs"] == 4
        assert found["weights"] == 0.0  # bit for bit
        assert found["elbo"] < 1e-5  # sums of two workers are added in another order
