"""Every precision: size, cost in nats, same latents, a card inside, all accelerated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support import tiny_models

import kvae
import kvae.export
from kvae.export.checks.delegation import outside_xnnpack
from kvae.export.checks.verification import litert_runner, load_cases
from kvae.export.signatures import Signatures
from kvae.export.targets.litert_conversion import convert
from kvae.networks import conv_decoder, conv_encoder, mlp

pytestmark = pytest.mark.slow

BATCH = 200
AT_BATCH = ("float32", "int8")  # the others store weights differently, and no more


@pytest.fixture(scope="module")
def bundle(
    vae: Any, digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    directory = tmp_path_factory.mktemp("bundle") / "digits"
    report = kvae.export.export(
        vae,
        directory,
        digits,
        precisions=kvae.export.PRECISIONS,
        whole_model=True,
        license="CC0-1.0",
    )
    return directory, report


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Files of a tiny model for a batch larger than usual."""
    model = tiny_models.tiny_vae()
    x = tiny_models.pixels(300)
    model.compile()
    model.fit(x, verbose=0)
    directory = tmp_path_factory.mktemp("fixed") / "out"
    report = kvae.export.export(
        model,
        directory,
        x,
        precisions=AT_BATCH,
        batches=(BATCH,),
        whole_model=True,
    )
    return directory, report


def test_sizes(bundle: Any) -> None:
    size = {f["path"].split("/")[1]: f["bytes"] for f in bundle[1].files}
    full = size["decoder.tflite"]
    assert size["decoder_float16.tflite"] < 0.55 * full
    assert size["decoder_int8_dynamic.tflite"] < 0.35 * full
    assert size["decoder_int8.tflite"] < 0.40 * full
    # One file of all endpoints stores the decoder's weights once, not four times.
    assert size["model.tflite"] < 4 * full


def test_int8_leaves_out_what_integers_cannot_say(bundle: Any) -> None:
    offered = {f["path"].split("/")[1]: set(f["signatures"]) for f in bundle[1].files}
    assert offered["model.tflite"] == {
        *("decode", "generate", "encode", "reconstruct", "score")
    }
    assert offered["model_int8.tflite"] == {"decode", "encode", "reconstruct"}


@pytest.mark.parametrize("batch", [None, BATCH])
def test_every_combination_was_compared_and_has_a_card(
    bundle: Any, fixed: Any, batch: int | None
) -> None:
    directory, report = bundle if batch is None else fixed
    assert report.ok
    assert not report.refused
    seen = {(r["file"], r["signature"]): r["batches"] for r in report.rows}
    every = ("decode", "generate", "encode", "reconstruct", "score")
    for precision in kvae.export.PRECISIONS if batch is None else AT_BATCH:
        part = "" if precision == "float32" else f"_{precision}"
        part += "" if batch is None else f"_batch{batch}"
        whole = [
            n for n in every if precision != "int8" or n not in ("generate", "score")
        ]
        for stem, names in (("decoder", ["decode"]), ("model", whole)):
            path = f"litert/{stem}{part}.tflite"
            compared = {name: b for (file, name), b in seen.items() if file == path}
            assert compared == dict.fromkeys(
                names, [1, 3, 16] if batch is None else [batch]
            )
            card = kvae.export.read_card(directory / path)
            assert (card["precision"], card["batch"]) == (precision, batch)
            assert set(card["signatures"]) == set(names)
            assert card["cost"]["elbo_change"] == pytest.approx(
                card["cost"]["distortion_change"] * -1 - card["cost"]["rate_change"]
            )


def test_a_batch_larger_than_usual_is_compared_whole(fixed: Any) -> None:
    with np.load(fixed[0] / "parity.npz") as cases:
        assert cases["real/decode/out/mean"].shape == (BATCH, 4)


def test_a_seed_means_the_same_latents_at_every_precision(
    bundle: Any, fixed: Any
) -> None:
    rows = [r for report in (bundle[1], fixed[1]) for r in report.rows]
    rows = [r for r in rows if r["output"] == "z"]
    assert {r["file"] for r in rows} == {
        "saved_model/1",
        f"litert/model_batch{BATCH}.tflite",
        *(
            f"litert/model{precision}.tflite"
            for precision in ("", "_float16", "_int8_dynamic")
        ),
    }
    assert all(row["identical"] for row in rows)


def test_cost_in_nats_is_the_change_of_the_distortion(
    bundle: Any, vae: Any, digits: np.ndarray
) -> None:
    # Independently: cross-entropy in numpy, from the logits of the file.
    directory, report = bundle
    entry = next(f for f in report.files if f["path"] == "litert/decoder_int8.tflite")
    cost = entry["cost"]
    x = digits[128:640]
    assert cost["examples"] == len(x)
    z = vae.encode(x).mean().numpy()
    run = litert_runner(directory / entry["path"])

    def distortion(logits: np.ndarray) -> np.ndarray:
        p = 1 / (1 + np.exp(-logits.astype("float64")))
        entries = x * np.log(p) + (1 - x) * np.log1p(-p)
        return -entries.sum(axis=(1, 2, 3))

    exact = vae.likelihood_params(z)["logits"].numpy()
    rounded = np.concatenate(
        [run("decode", {"z": z[i : i + 8]})["logits"] for i in range(0, len(z), 8)]
    )
    change = distortion(rounded) - distortion(exact)
    # The report draws z from the posterior, we took its mean: the same rounding, other
    # points, so the two means agree within their standard errors, not in every digit.
    error = 5 * change.std() / np.sqrt(len(x))
    assert abs(cost["distortion_change"] - change.mean()) < 2 * error
    assert cost["distortion_change"] != 0
    assert cost["rate_change"] == 0  # a decoder alone cannot change the rate
    assert cost["elbo_change"] == -cost["distortion_change"]
    assert cost["budget"] == pytest.approx(2e-3 * 64)


def test_budgets_are_said_for_every_file(bundle: Any) -> None:
    costs = {f["path"]: f["cost"] for f in bundle[1].files if f["kind"] == "litert"}
    assert len(costs) == 8
    assert all(path in str(bundle[1]) for path in costs)
    assert all(cost["within_budget"] for cost in costs.values())
    assert abs(costs["litert/decoder.tflite"]["elbo_change"]) < 1e-4
    saved = json.loads((bundle[0] / "export.json").read_text())
    assert [f.get("cost") for f in saved["files"][1:]] == list(costs.values())


def test_card_travels_inside_the_file(bundle: Any, tmp_path: Path) -> None:
    card = kvae.export.read_card(bundle[0] / "litert" / "model_float16.tflite")
    assert card["license"] == "CC0-1.0"
    assert card["precision"] == "float16"
    score = card["signatures"]["score"]
    assert score["outputs"]["elbo"]["unit"].startswith("nats per example")
    assert score["inputs"]["x"]["shape"] == [None, 8, 8, 1]
    assert score["inputs"]["x"]["unit"] == "pixels in [0, 1]"
    assert {row["signature"] for row in card["parity"]} == set(card["signatures"])
    (tmp_path / "a.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match="is not a .tflite file"):
        kvae.export.read_card(tmp_path / "a.tflite")


NETWORKS = {"decode", "encode", "reconstruct"}


def test_every_network_runs_wholly_accelerated(bundle: Any) -> None:
    files = {f["path"]: f for f in bundle[1].files if f["kind"] == "litert"}
    seen = {p: set(f["outside_xnnpack"]) for p, f in files.items()}
    assert seen == {p: set(f["signatures"]) for p, f in files.items()}
    left = {
        (path, name): operations
        for path, file in files.items()
        for name, operations in file["outside_xnnpack"].items()
        if operations
    }
    # The noise of the others is made of integer operations, which XNNPACK does not have.
    assert {name for _, name in left} == {"generate", "score"}
    assert "BITWISE_XOR" in left["litert/model.tflite", "generate"]


@pytest.mark.parametrize(
    ("activation", "batch"),
    [("gelu", None), ("gelu", 1), ("silu", None), ("relu", None)],
)
def test_integers_are_accelerated_with_the_scale_of_the_posterior(
    digits: np.ndarray, tmp_path: Path, activation: str, batch: int | None
) -> None:
    keras.utils.set_random_seed(1)
    vae = kvae.VAE(
        conv_encoder((8, 8, 1), (4, 8), 16, activation=activation),
        conv_decoder(3, (8, 8, 1), (8, 4), 16, activation=activation),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Bernoulli((8, 8, 1)),
    )
    names = ("encode", "decode", "reconstruct")
    path = tmp_path / "model.tflite"
    path.write_bytes(convert(Signatures(vae), names, "int8", batch, digits))
    assert outside_xnnpack(path, batch or 3) == {name: [] for name in names}
    run = litert_runner(path)
    scale = np.concatenate([run("encode", {"x": x[None]})["scale"] for x in digits[:9]])
    np.testing.assert_allclose(scale, vae.encode(digits[:9]).stddev(), rtol=0.03)


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("shape", [(9, 7, 3), (12, 12)])
def test_conv_decoders_of_any_size_are_accelerated(
    shape: tuple[int, ...], batch: int | None, tmp_path: Path
) -> None:
    vae = kvae.VAE(
        conv_encoder(shape, (4, 8), 16),
        conv_decoder(3, shape, (8, 8, 4), 16),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Bernoulli(shape),
    )
    path = tmp_path / "decoder.tflite"
    path.write_bytes(convert(Signatures(vae), ("decode",), "float32", batch))
    assert outside_xnnpack(path, batch or 3) == {"decode": []}


def test_what_is_not_accelerated_is_found(tmp_path: Path) -> None:
    z = keras.Input((3,), name="z")
    hidden = keras.layers.Dense(49 * 4)(z)
    hidden = keras.layers.Reshape((7, 7, 4))(hidden)
    hidden = keras.layers.Conv2DTranspose(4, 3, 2, "same")(hidden)
    vae = kvae.VAE(
        mlp((14, 14, 1), (8,)),
        keras.Model(z, hidden),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Bernoulli((14, 14, 1)),
    )
    path = tmp_path / "decoder.tflite"
    path.write_bytes(convert(Signatures(vae), ("decode",), "float32"))
    assert "TRANSPOSE_CONV" in outside_xnnpack(path)["decode"]


def test_half_precision_training_exports_in_float32(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (64, 6)).astype("float32")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = kvae.VAE.for_data(x, latent_dim=2, seed=0)
        half.compile(optimizer="adam")
        half.fit(x, epochs=1, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    weights = [np.asarray(w) for w in half.get_weights()]
    report = kvae.export.export(half, tmp_path / "out", x)
    assert report.ok
    assert half.dtype_policy.name == "mixed_bfloat16"  # the model itself is untouched
    for now, then in zip(half.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)
    full = kvae.VAE.for_data(x, latent_dim=2, seed=0)
    full.set_weights(weights)
    cases = load_cases(tmp_path / "out" / "parity.npz")
    recorded = cases["real", "decode"]
    np.testing.assert_allclose(
        recorded["out"]["logits"],
        full.likelihood_params(recorded["in"]["z"])["logits"],
        atol=1e-6,
    )


def test_conditions_are_part_of_the_signatures(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 5)).astype("float32")
    labels = np.eye(3, dtype="float32")[rng.integers(0, 3, 40)]
    vae = kvae.VAE(
        mlp((5,), (8,), condition_shape=(3,)),
        mlp((2,), (8,), condition_shape=(3,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((5,)),
    )
    vae.compile(optimizer="adam")
    vae.fit({"x": x, "condition": labels}, epochs=1, verbose=0)
    with pytest.raises(ValueError, match="received no condition. Pass a dict"):
        kvae.export.export(vae, tmp_path / "out", x)
    data = {"x": x, "condition": labels}
    report = kvae.export.export(vae, tmp_path / "out", data, whole_model=True)
    assert report.ok
    for file in report.files:
        assert all("condition" in inputs for inputs in file["signatures"].values())
    run = litert_runner(tmp_path / "out" / "litert" / "model.tflite")
    given = {"seed": np.array([4, 0], np.int32), "temperature": np.float32(1)}
    got = run("generate", {"num": np.int32(6), "condition": labels[:6], **given})
    np.testing.assert_allclose(
        got["x"], vae.sample(6, seed=4, condition=labels[:6]), atol=1e-5
    )
