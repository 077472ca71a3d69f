import json
import pathlib

import pytest
from support import small

pytestmark = pytest.mark.slow


def test_two_replicas_train_and_report_as_one_process_does():
    """At one global batch size, with a ragged last batch, weights and regularizers."""
    output = small.fresh_python(
        pathlib.Path(__file__).with_name("train_on_replicas.py")
    )
    results = [json.loads(s[7:]) for s in output.splitlines() if s.startswith("RESULT")]
    assert len(results) == 2  # and sample weights and a discriminator in the second
    for result in results:
        assert result["moved"] > 1e-2
        assert result["weights"] < 1e-6
        assert result["reports"] < 1e-5
