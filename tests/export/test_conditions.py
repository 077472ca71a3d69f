"""Exports of a model of labels: every endpoint takes the label and computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import kvae
import kvae.export
from kvae.export.checks.verification import litert_runner

pytestmark = pytest.mark.slow

CLASSES = (0, 3, 4)


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    bunch = load_digits()
    rows = np.flatnonzero(np.isin(bunch.target, CLASSES))[:200]
    x = (bunch.images[rows, ..., None] / 16).astype("float32")
    return {"x": x, "condition": bunch.target[rows]}


@pytest.fixture(scope="module")
def vae(data: dict[str, np.ndarray]) -> Any:
    model = kvae.VAE.for_data(
        data["x"].reshape(-1, 64), 3, data["condition"], conditional_prior=True, seed=1
    )
    model.compile(optimizer="adam")
    flat = {**data, "x": data["x"].reshape(-1, 64)}
    model.fit(flat, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def bundle(
    vae: Any, data: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("labels") / "out"
    flat = {**data, "x": data["x"].reshape(-1, 64)}
    report = kvae.export.export(
        vae, directory, flat, precisions=("float32", "int8"), whole_model=True
    )
    return directory, report


def test_every_endpoint_takes_an_int32_label(bundle: tuple[Path, Any]) -> None:
    assert bundle[1].ok
    assert not bundle[1].refused
    for file in bundle[1].files:
        for inputs in file["signatures"].values():
            assert inputs["condition"] == {"shape": [file["batch"]], "dtype": "int32"}


def test_a_phone_draws_what_keras_draws(bundle: tuple[Path, Any], vae: Any) -> None:
    labels = np.array([0, 3, 4, 4, 3, 0], np.int32)
    run = litert_runner(bundle[0] / "litert" / "model.tflite")
    given = {"seed": np.array([4, 0], np.int32), "temperature": np.float32(1)}
    got = run("generate", {"num": np.int32(6), "condition": labels, **given})
    expected = vae.sample(6, seed=4, condition=labels)
    np.testing.assert_allclose(got["x"], expected, atol=1e-5)
    z = np.zeros((6, 3), np.float32)
    got = run("decode", {"z": z, "condition": labels})["mean"]
    np.testing.assert_allclose(got, vae.decode(z, labels).mean(), atol=1e-5)
    assert np.abs(got[0] - got[1]).max() > 1e-3  # the label matters


def test_a_server_scores_and_refuses_unseen_labels(
    bundle: tuple[Path, Any], vae: Any, data: dict[str, np.ndarray]
) -> None:
    loaded = tf.saved_model.load(str(bundle[0] / "saved_model" / "1"))
    x = tf.constant(data["x"][:5].reshape(5, 64))
    labels = tf.constant(data["condition"][:5], tf.int32)
    seed = tf.constant([7, 0], tf.int32)
    got = loaded.signatures["score"](x=x, condition=labels, seed=seed)
    expected = vae.elbo({"x": x, "condition": labels}, seed=7)
    np.testing.assert_allclose(got["elbo"], expected, rtol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not one of 0, 3, 4"):
        loaded.signatures["decode"](z=tf.zeros((1, 3)), condition=tf.constant([1]))


@pytest.mark.parametrize("kind", ["label", "image"])
def test_convolutional_decoders_convert(
    data: dict[str, np.ndarray], tmp_path: Path, kind: str
) -> None:
    condition = data["condition"] if kind == "label" else data["x"][..., 0]
    vae = kvae.VAE.for_data(data["x"], 3, condition)
    path = kvae.export.litert(vae, tmp_path / "d.tflite", allow_untrained=True)
    z = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    given = condition[:4].astype("int32" if kind == "label" else "float32")
    got = litert_runner(path)("decode", {"z": z, "condition": given})["mean"]
    np.testing.assert_allclose(got, vae.decode(z, given).mean(), atol=1e-5)
