"""What is said of an export's checks: the outcome of all, and nothing of LiteRT's own."""

import dataclasses
import json
import os
import subprocess
import sys
from typing import Any

import pytest


@pytest.mark.slow
def test_the_summary_names_the_worst_of_all_checks(exported: Any) -> None:
    """By its share of its limit, not by its size."""
    _, report = exported
    rows = [
        {"ok": True, "max": 2e-6, "limit": 1e-5, "unit": 1.0},  # a fifth
        {"ok": True, "max": 3e-4, "limit": 1e-5, "unit": 100.0},  # 0.3
        {"ok": True, "max": 9e-1, "limit": None, "unit": 1.0},
        {"ok": False, "limit": 1e-5, "problem": "NaN or infinite where Keras isn't"},
    ]
    told = dataclasses.replace(report, rows=tuple(rows))
    assert told.summary() == "3 of 4 checks passed, worst 3.0e-04 of 1.0e-03"
    refused = dataclasses.replace(told, refused={"score": "its op is missing"})
    assert refused.summary().endswith("; no score in LiteRT")


@pytest.mark.slow
def test_litert_says_nothing_of_its_own(exported: Any) -> None:
    directory, _ = exported
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from verify import litert_runner\n"
        "import numpy as np, pathlib, os\n"
        "run = litert_runner(pathlib.Path(sys.argv[1]) / 'litert/decoder.tflite')\n"
        "run('decode', {'z': np.zeros((1, int(sys.argv[2])), 'float32')})\n"
        "os.write(2, b'and what others write is shown')\n"
    )
    manifest = json.loads((directory / "export.json").read_text())
    dim = str(manifest["model"]["latent_dim"])
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory), dim],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert "INFO: Created" not in done.stderr
    assert done.stderr.endswith("and what others write is shown")
