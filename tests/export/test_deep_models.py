"""A deep model on a device: one walk through the trunk, and pixels one after the other."""

from pathlib import Path

import keras
import numpy as np
import pytest

import kvae
import kvae.export
from kvae.export.checks.verification import litert_runner

pytestmark = pytest.mark.slow

SHAPE = (4, 4)


def test_every_endpoint_on_a_device_is_that_of_keras(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    likelihood = kvae.likelihoods.PixelCNN(kvae.likelihoods.Bernoulli(SHAPE), 4, 1, 3)
    x = (np.random.default_rng(0).random((5, *SHAPE)) < 0.4).astype("float32")
    vae = kvae.presets.deep_vae(
        x, {1: 1, 2: 2}, width=4, features=2, likelihood=likelihood, seed=0
    )
    rng = np.random.default_rng(1)
    for weight in vae.trainable_variables:
        weight.assign_add(0.2 * rng.normal(size=weight.shape))
    path = kvae.export.litert(
        vae,
        tmp_path / "deep.tflite",
        signatures=("decode", "generate", "reconstruct", "score"),
        allow_untrained=True,
    )
    run = litert_runner(path)
    seed = np.array([9, 0], np.int32)
    got = run("score", {"x": x, "seed": seed})
    np.testing.assert_allclose(got["elbo"], vae.elbo(x, seed=9), rtol=2e-5)
    assert got["rate"].std() > 0.01 * abs(got["rate"].mean())
    np.testing.assert_allclose(
        run("reconstruct", {"x": x})["x"], vae.reconstruct(x), atol=1e-5
    )
    drawn = run(
        "generate",
        {
            "num": np.array([3], np.int32),
            "seed": seed,
            "temperature": np.array([0.5], np.float32),
        },
    )
    wanted = vae.sample(3, seed=9, temperature=0.5)
    np.testing.assert_allclose(drawn["x"], wanted, atol=1e-5)
    decoded = run("decode", {"z": drawn["z"]})
    np.testing.assert_allclose(decoded["mean"], drawn["x"], atol=1e-5)
