"""Several processes train as one; two here, more in benchmarks/workers.py."""

import pathlib

import pytest
from support import loopback_workers

pytestmark = pytest.mark.slow


def test_two_workers_train_and_report_as_one_process_does():
    """Ragged batches, validation, sample weights; and a limit on the gradient."""
    script = pathlib.Path(__file__).with_name("train_on_workers.py")
    first, second = loopback_workers.results(loopback_workers.start(2, script, "short"))
    assert len(first) == len(second) == 1
    for one, other in zip(first, second, strict=True):
        assert one["workers"] == 2
        assert one["bytes"] == other["bytes"]  # weights and reports, bit for bit
        assert one["moved"] > 1e-2
        assert one["weights"] < 1e-6
        assert one["reports"] < 1e-5
