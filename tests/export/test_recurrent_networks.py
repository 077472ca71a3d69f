"""Recurrent networks on a device, which has no loops."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import kvae
import kvae.export
from kvae.export.checks.verification import litert_runner

pytestmark = pytest.mark.slow

SHAPE = (6, 2)


def test_loops_are_unrolled_for_a_device(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        kvae.networks.recurrent_encoder(SHAPE, (4,), "lstm"),
        kvae.networks.recurrent_decoder(2, SHAPE, (4,)),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal(SHAPE),
        seed=0,
    )
    for i, weight in enumerate(vae.trainable_weights):
        noise = np.random.default_rng(i).normal(0, 0.3, weight.shape)
        weight.assign_add(noise.astype("float32"))
    path = kvae.export.litert(
        vae,
        tmp_path / "a.tflite",
        signatures=("encode", "decode"),
        allow_untrained=True,
    )
    run = litert_runner(path)
    x = np.random.default_rng(9).normal(size=(5, *SHAPE)).astype("float32")
    for rows in (1, 5):
        found = run("encode", {"x": x[:rows]})["loc"]
        mean = vae.encode(x[:rows]).mean()
        np.testing.assert_allclose(found, mean, rtol=1e-4, atol=1e-6)
    z = np.array([[0.5, -1.0]], "float32")
    expected = vae.likelihood.mean(vae.likelihood_params(z))
    found = run("decode", {"z": z})["loc"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
