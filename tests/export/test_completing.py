"""Exports of a model that completes: `complete` says the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
import kvae.export
from kvae.export.checks.verification import litert_runner, saved_model_runner
from kvae.masks import Half, given_visible

pytestmark = pytest.mark.slow

SEED = np.array([9, 0], np.int32)
FILES = ("model", "model_float16", "model_int8_dynamic")


@pytest.fixture(scope="module")
def completing(digits: np.ndarray) -> Any:
    keras.utils.set_random_seed(0)
    model = kvae.presets.completing_vae(digits, 3, "random", (4, 8), (16,), seed=1)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    model.fit(digits, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="module")
def mask(digits: np.ndarray) -> np.ndarray:
    return np.asarray(Half("left").draw(6, digits.shape[1:]))


@pytest.fixture(scope="module")
def directory(
    completing: Any, digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("completing") / "out"
    visible = Half("left").draw(20, digits.shape[1:])
    report = kvae.export.export(
        completing,
        path,
        given_visible(digits[:20], visible),
        precisions=kvae.export.PRECISIONS,
        whole_model=True,
    )
    assert not report.refused
    compared = {(r["file"], r["output"]) for r in report.rows if "problem" not in r}
    assert ("litert/model.tflite", "x") in compared
    return path


@pytest.fixture(scope="module")
def server(directory: Path) -> Any:
    return saved_model_runner(directory / "saved_model" / "1")


def test_who_offers_it(directory: Path, completing: Any, exported: Any) -> None:
    cards = {
        name: kvae.export.read_card(directory / "litert" / f"{name}.tflite")
        for name in (*FILES, "model_int8")
    }
    offers = {name: set(card["signatures"]) for name, card in cards.items()}
    # In integers what is visible would be rounded.
    assert {n for n in offers if "complete" in offers[n]} == set(FILES)
    shape = [None, *completing.data_shape]
    inputs = cards["model"]["signatures"]["complete"]["inputs"]
    assert {key: value["shape"] for key, value in inputs.items()} == {
        "x": shape,
        "mask": shape,
        "seed": [2],
    }
    plain = tf.saved_model.load(str(exported[0] / "saved_model" / "1"))
    assert "complete" not in plain.signatures


def test_a_seed_means_the_same_completion_everywhere(
    directory: Path, server: Any, completing: Any, digits: np.ndarray, mask: np.ndarray
) -> None:
    x = digits[100:106]
    expected = completing.complete(x, mask, num=3, seed=9).x[:, 0]
    phone = litert_runner(directory / "litert" / "model.tflite")
    given = {"x": x, "mask": mask, "seed": SEED}
    for run in (server, phone):
        got = run("complete", given)["x"]
        np.testing.assert_allclose(got, expected, atol=1e-5)
        other = run("complete", {**given, "seed": SEED + 1})["x"]
        assert np.abs(other - got).max() > 1e-3  # the seed matters
        first = run("complete", {key: v[:2] for key, v in given.items()})["x"]
        np.testing.assert_allclose(first, expected[:2], atol=1e-5)
    assert np.abs(expected - x)[mask == 0].max() > 0.1  # and is not a copy of the truth


@pytest.mark.parametrize("name", ["saved_model", *FILES])
def test_what_is_visible_keeps_every_bit(
    directory: Path, server: Any, digits: np.ndarray, mask: np.ndarray, name: str
) -> None:
    run = server
    if name != "saved_model":
        run = litert_runner(directory / "litert" / f"{name}.tflite")
    x = digits[:6] * np.float32(1 / 3)  # no short binary fractions
    hidden = np.where(mask == 1, x, 7.0).astype("float32")
    got = run("complete", {"x": hidden, "mask": mask, "seed": SEED})["x"]
    assert got[mask == 1].tobytes() == x[mask == 1].tobytes()
    again = run("complete", {"x": x, "mask": mask, "seed": SEED})["x"]
    assert got.tobytes() == again.tobytes()  # what is hidden does not matter


def test_the_score_is_of_what_is_hidden_given_the_rest(
    directory: Path, server: Any, completing: Any, digits: np.ndarray, mask: np.ndarray
) -> None:
    x = digits[100:106]
    expected = completing.elbo(given_visible(x, mask), seed=9)
    phone = litert_runner(directory / "litert" / "model.tflite")
    for run in (server, phone):
        got = run("score", {"x": x, "mask": mask, "seed": SEED})
        np.testing.assert_allclose(got["elbo"], expected, rtol=1e-4)


def test_a_server_refuses_a_wrong_mask(
    server: Any, digits: np.ndarray, mask: np.ndarray
) -> None:
    x = digits[:6]
    server("complete", {"x": np.where(mask, x, np.nan), "mask": mask, "seed": SEED})
    for message, wrong in {
        "mask must hold only 0 and 1": {"mask": 0.5 * mask},
        "mask must have a row for each": {"mask": mask[:1]},
        "x must be finite where mask is 1": {"x": np.full_like(x, np.nan)},
        "without a visible entry": {
            "mask": mask * (np.arange(6) != 4).reshape(-1, 1, 1, 1)
        },
    }.items():
        given = {"x": x, "mask": mask, **wrong}
        given = {key: value.astype("float32") for key, value in given.items()}
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            server("complete", {**given, "seed": SEED})


def test_a_model_without_such_a_prior_says_so(tmp_path: Path) -> None:
    plain = kvae.VAE.for_data(np.eye(4, dtype="float32"), 2)
    with pytest.raises(ValueError, match="complete needs a model trained with"):
        kvae.export.litert(
            plain, tmp_path / "a.tflite", signatures=("complete",), allow_untrained=True
        )


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_client_completes(
    directory: Path,
    completing: Any,
    digits: np.ndarray,
    mask: np.ndarray,
    protocol: str,
) -> None:
    pytest.importorskip("tensorflow_serving.apis", reason="needs the extra `serving`")
    from support.loopback_server import Loopback

    from kvae.export.serving.client import Client, ServingError

    x = digits[100:106]
    server = Loopback(directory / "saved_model")
    try:
        with Client(server.addresses[protocol], "digits") as client:
            got = client.complete(x, mask == 1, seed=9)["x"]
            with pytest.raises(ServingError, match="mask must hold only 0 and 1"):
                client.complete(x, 2 * mask)
    finally:
        server.stop()
    expected = completing.complete(x, mask, num=1, seed=9).x[:, 0]
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_array_equal(got[mask == 1], x[mask == 1])


def test_cost_is_that_of_the_hidden_entries(
    directory: Path, completing: Any, digits: np.ndarray
) -> None:
    card = kvae.export.read_card(directory / "litert" / "model_float16.tflite")
    assert card["cost"]["budget"] == pytest.approx(5e-5 * 32)  # of 64 pixels
    visible = Half("left").draw(20, digits.shape[1:])
    second_half = {k: v[10:] for k, v in given_visible(digits[:20], visible).items()}
    bounds = [completing.elbo(second_half, seed=seed).mean() for seed in range(30)]
    error = np.std(bounds, ddof=1)  # the card's is of one draw
    assert error < 0.1 * abs(np.mean(bounds))
    assert abs(card["cost"]["elbo"] - np.mean(bounds)) < 5 * error
