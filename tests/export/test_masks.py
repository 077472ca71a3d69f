"""Exports of a model that is told which entries are observed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import kvae
import kvae.export
from kvae.export.checks.verification import litert_runner
from kvae.networks import masked_encoder, mlp

pytestmark = pytest.mark.slow

ENTRIES, DIM = 6, 2


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1)) + 0.3 * rng.normal(size=(200, ENTRIES))
    mask = rng.random((200, ENTRIES)) < 0.7
    mask[:, 0] = True
    return {"x": x.astype("float32"), "mask": mask.astype("float32")}


@pytest.fixture(scope="module")
def vae(data: dict[str, np.ndarray]) -> Any:
    model = kvae.VAE(
        masked_encoder((ENTRIES,), (16,)),
        mlp((DIM,), (16,), role="decoder"),
        kvae.posteriors.DiagonalNormal(DIM),
        kvae.likelihoods.Normal((ENTRIES,)),
        objective=kvae.objectives.Masked(masks="random"),
        seed=1,
    )
    model.compile(optimizer="adam")
    model.fit(data, epochs=3, verbose=0)
    return model


@pytest.fixture(scope="module")
def bundle(
    vae: Any, data: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("masks") / "out"
    precisions = ("float32", "int8")
    report = kvae.export.export(
        vae, directory, data, precisions=precisions, whole_model=True
    )
    return directory, report


def test_what_sees_the_data_takes_a_mask(bundle: tuple[Path, Any]) -> None:
    assert bundle[1].ok
    assert not bundle[1].refused
    taken = {"encode", "reconstruct", "score"}
    for file in bundle[1].files:
        for name, inputs in file["signatures"].items():
            assert ("mask" in inputs) == (name in taken)
            spec = {"shape": [file["batch"], ENTRIES], "dtype": "float32"}
            assert inputs.get("mask", spec) == spec


def test_hidden_entries_are_neither_seen_nor_scored(
    bundle: tuple[Path, Any], vae: Any, data: dict[str, np.ndarray]
) -> None:
    x, mask = data["x"][:5], data["mask"][:5]
    seed = np.array([7, 0], np.int32)
    other = np.where(mask == 1, x, 50).astype("float32")
    phone = litert_runner(bundle[0] / "litert" / "model.tflite")
    loaded = tf.saved_model.load(str(bundle[0] / "saved_model" / "1"))

    def server(name: str, given: dict[str, Any]) -> dict[str, Any]:
        tensors = {key: tf.constant(value) for key, value in given.items()}
        return {k: v.numpy() for k, v in loaded.signatures[name](**tensors).items()}

    expected = vae.elbo({"x": x, "mask": mask}, seed=7)
    for run in (phone, server):
        for given in (x, other):
            got = run("score", {"x": given, "mask": mask, "seed": seed})
            np.testing.assert_allclose(got["elbo"], expected, rtol=1e-4)
        whole = run("score", {"x": x, "mask": np.ones_like(mask), "seed": seed})
        assert np.abs(whole["elbo"] - expected).max() > 0.1
    missing = np.where(mask == 1, x, np.nan).astype("float32")
    got = server("score", {"x": missing, "mask": mask, "seed": seed})
    np.testing.assert_allclose(got["elbo"], expected, rtol=1e-4)
