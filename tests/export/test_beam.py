"""The example of Apache Beam's RunInference, on the direct runner."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import kvae.export
from kvae.core.inputs import Inputs
from kvae.model import endpoints

SCRIPT = Path(__file__).parents[2] / "examples" / "beam_encode.py"
BLOCK, SEED = 100, 7

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("apache_beam") is None,
        reason='needs Apache Beam: pip install "keras-vae[beam]"',
    ),
]


def test_the_pipeline_computes_what_the_model_computes(
    vae: Any, digits: np.ndarray, tmp_path: Path
) -> None:
    """In bytes, of which the last block is short; Keras scores the same blocks."""
    import pyarrow.parquet as pq

    pixels = (255 * digits[:250]).round().astype("uint8")
    np.save(tmp_path / "x.npy", pixels)
    model = kvae.export.saved_model(vae, tmp_path / "models")
    command = [sys.executable, SCRIPT, "--model", model, "--data", tmp_path / "x.npy"]
    options = f"--divisor 255 --block {BLOCK} --seed {SEED} --runner DirectRunner"
    done = subprocess.run(
        [*command, "--out", tmp_path / "encoded" / "part", *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = pq.read_table(tmp_path / "encoded").sort_by("index")
    assert found.column_names == [
        *("index", "loc", "scale", "elbo", "rate", "distortion")
    ]
    np.testing.assert_array_equal(found["index"], np.arange(250))
    x = pixels.astype("float32") / np.float32(255)
    q = vae.encode(x)
    for name, expected in (("loc", q.mean()), ("scale", q.stddev())):
        values = np.stack(found[name].to_numpy())
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    elbo = found["elbo"].to_numpy()
    for number, first in enumerate(range(0, 250, BLOCK)):
        block = Inputs(x[first : first + BLOCK])
        scores = endpoints.score(vae, block, tf.constant([SEED, number]))
        np.testing.assert_allclose(
            elbo[first : first + BLOCK], scores["elbo"], rtol=1e-5
        )
    # The first block has the noise of the seed itself.
    np.testing.assert_allclose(elbo[:BLOCK], vae.elbo(x[:BLOCK], seed=SEED), rtol=1e-5)
    assert np.abs(elbo[BLOCK:] - vae.elbo(x, seed=SEED)[BLOCK:]).max() > 0.1


def test_integers_need_a_divisor(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 8), "uint8"))
    command = [sys.executable, SCRIPT, "--model", "m", "--data", tmp_path / "x.npy"]
    done = subprocess.run(
        [*command, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "x.npy holds uint8: give --divisor, 255 for bytes" in done.stderr
