"""The score of parts whose density once had no LiteRT form equals that of Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kvae
import kvae.export
from kvae.export.checks.delegation import outside_xnnpack
from kvae.export.checks.verification import litert_runner
from kvae.export.signatures import Signatures
from kvae.export.targets.litert_conversion import convert
from kvae.networks import conv_decoder, conv_encoder, mlp

pytestmark = pytest.mark.slow

DIM, ENTRIES = 3, 4
PARTS = {
    "full normal, student t": lambda: {
        "posterior": kvae.posteriors.FullNormal(DIM),
        "likelihood": kvae.likelihoods.StudentT((ENTRIES,)),
    },
    "sylvester flow, poisson": lambda: {
        "posterior": kvae.posteriors.SylvesterFlow(DIM, 2),
        "likelihood": kvae.likelihoods.Poisson((ENTRIES,)),
    },
    "vamp prior, negative binomial": lambda: {
        "prior": kvae.priors.VampPrior(DIM, (ENTRIES,), 7),
        "likelihood": kvae.likelihoods.NegativeBinomial((ENTRIES,)),
    },
}


def model(posterior: Any = None, likelihood: Any = None, prior: Any = None) -> kvae.VAE:
    vae = kvae.VAE(
        mlp((ENTRIES,), (8,), "tanh"),
        mlp((DIM,), (8,), "tanh", role="decoder"),
        posterior or kvae.posteriors.DiagonalNormal(DIM),
        likelihood or kvae.likelihoods.Normal((ENTRIES,)),
        prior=prior,
        objective=kvae.objectives.ELBO(kl="sampled"),
        seed=1,
    )
    vae.build((None, ENTRIES))
    # Zero kernels and biases would hide half of a density.
    rng = np.random.default_rng(2)
    for weight in vae.trainable_weights:
        weight.assign_add(rng.normal(0, 0.2, weight.shape))
    return vae


@pytest.mark.parametrize("parts", PARTS)
def test_score_on_a_device_is_that_of_keras(parts: str, tmp_path: Path) -> None:
    vae = model(**PARTS[parts]())
    path = kvae.export.litert(
        vae, tmp_path / "a.tflite", signatures=("score",), allow_untrained=True
    )
    x = np.random.default_rng(3).integers(0, 30, (6, ENTRIES)).astype("float32")
    got = litert_runner(path)("score", {"x": x, "seed": np.array([9, 0], np.int32)})
    np.testing.assert_allclose(got["elbo"], vae.elbo(x, seed=9), rtol=2e-5)
    np.testing.assert_allclose(got["rate"] + got["distortion"], -got["elbo"], rtol=1e-5)
    assert got["rate"].std() > 0.01 * abs(got["rate"].mean())


@pytest.mark.parametrize("shape", [(9, 7, 3), (12, 12)])
def test_conv_encoders_are_accelerated_with_a_free_batch_size(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    vae = kvae.VAE(
        conv_encoder(shape, (4, 8), 16),
        conv_decoder(3, shape, (8, 4), 16),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Bernoulli(shape),
    )
    path = tmp_path / "encoder.tflite"
    path.write_bytes(convert(Signatures(vae), ("encode",), "float32"))
    assert outside_xnnpack(path, 3) == {"encode": []}


@pytest.mark.parametrize("name", ["Normal", "Laplace", "StudentT"])
def test_a_scale_for_all_entries_is_accelerated(name: str, tmp_path: Path) -> None:
    likelihood = getattr(kvae.likelihoods, name)((ENTRIES,), scale=0.5)
    vae = model(likelihood=likelihood)
    path = tmp_path / "decoder.tflite"
    path.write_bytes(convert(Signatures(vae), ("decode",), "float32"))
    assert outside_xnnpack(path, 3) == {"decode": []}
    outputs = litert_runner(path)("decode", {"z": np.ones((2, DIM), np.float32)})
    np.testing.assert_array_equal(outputs["scale"], np.full((2, ENTRIES), 0.5))
