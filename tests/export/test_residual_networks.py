"""Residual networks run on phones: all of it accelerated, in floats and in integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kvae
from kvae.export.checks.delegation import outside_xnnpack
from kvae.export.checks.verification import litert_runner
from kvae.export.signatures import Signatures
from kvae.export.targets.litert_conversion import convert
from kvae.networks import Unflatten, mlp, residual_decoder, residual_encoder

pytestmark = pytest.mark.slow


def test_residual_networks_are_accelerated_with_a_free_batch_size(
    tmp_path: Path,
) -> None:
    shape = (11, 10, 3)
    options: dict[str, Any] = {"attention": True, "condition_shape": (4,)}
    keras.utils.set_random_seed(0)
    vae = kvae.VAE(
        residual_encoder(shape, 3, (4, 8), **options),
        residual_decoder(3, shape, (4, 8), **options),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Normal(shape, scale=0.5),
    )
    rng = np.random.default_rng(0)  # within what the integers are calibrated for
    inputs = {"z": rng.random((9, 3), "float32")}
    inputs["condition"] = rng.random((9, 4), "float32")
    exact = vae.likelihood(vae.decoder(inputs))["loc"].numpy()
    path = tmp_path / "model.tflite"
    for precision, most in (("float32", 1e-5), ("int8_dynamic", 0.02), ("int8", 0.2)):
        path.write_bytes(convert(Signatures(vae), ("decode", "encode"), precision))
        assert outside_xnnpack(path, 3) == {"decode": [], "encode": []}, precision
        found = litert_runner(path)("decode", inputs)["loc"]
        error = np.sqrt(np.mean((found - exact) ** 2))
        assert error < most * exact.std(), precision


def test_a_decoder_of_maps_is_accelerated(tmp_path: Path) -> None:
    shape, latent_shape = (11, 10, 3), (6, 5, 2)
    inner = residual_decoder(latent_shape, shape, (8,), attention=True)
    vae = kvae.VAE(
        mlp(shape, (8,)),
        keras.Sequential([keras.Input((60,)), Unflatten(latent_shape), inner]),
        kvae.posteriors.DiagonalNormal(60),
        kvae.likelihoods.Normal(shape, scale=0.5),
    )
    path = tmp_path / "model.tflite"
    for precision in ("float32", "int8"):
        path.write_bytes(convert(Signatures(vae), ("decode",), precision))
        assert outside_xnnpack(path, 3) == {"decode": []}, precision
