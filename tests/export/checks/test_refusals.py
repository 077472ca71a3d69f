"""A refusal names the part, the operation and the way out; the rest still goes out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import keras
import pytest

import kvae
import kvae.export
from kvae.export.checks.refusals import explain
from kvae.networks import mlp

write = functools.partial(kvae.export.litert, allow_untrained=True)


@pytest.fixture(scope="module")
def full() -> Any:
    """A prior whose density has no form in LiteRT built-in operations.

    At any other z than its own draws, FullNormal solves a triangular system.
    """
    vae = kvae.VAE(
        mlp((4,), (8,)),
        mlp((3,), (8,), role="decoder"),
        kvae.posteriors.FullNormal(3),
        kvae.likelihoods.Normal((4,)),
        prior=kvae.priors.VampPrior(3, (4,), 5),
        objective=kvae.objectives.ELBO(kl="sampled"),
    )
    vae.build((None, 4))
    return vae


@pytest.mark.slow
def test_refusal_names_part_operation_and_way_out(full: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    said = (
        r"prior VampPrior \(density\) does not convert.*MatrixTriangularSolve.*"
        r"saved_model.*leave score out of signatures="
    )
    with pytest.raises(kvae.export.ExportRefused, match=said):
        write(full, path, signatures=("decode", "score"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_no_part_is_blamed_that_converts() -> None:
    vae = kvae.VAE(
        mlp((4,), (8,)),
        mlp((3,), (8,), role="decoder"),
        kvae.posteriors.DiagonalNormal(3),
        kvae.likelihoods.Normal((4,)),
        prior=kvae.priors.GaussianMixture(3, 5),
        objective=kvae.objectives.ELBO(kl="sampled"),
    )
    vae.build((None, 4))
    said = explain(vae, ("score",), "failed to legalize operation 'tf.Elsewhere'")
    assert said.startswith("the model does not convert")


@pytest.mark.slow
def test_the_other_endpoints_still_convert(full: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    names = ("decode", "generate", "encode", "reconstruct")
    assert write(full, path, signatures=names) == path
    assert [p.name for p in tmp_path.iterdir()] == ["model.tflite"]
    with pytest.raises(FileExistsError, match="model.tflite exists"):
        write(full, path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"precision": "int4"}, "precision must be one of float32, .*received 'int4'"),
        ({"signatures": ("dream",)}, r"must be from decode, .*received \('dream',\)"),
    ],
)
def test_wrong_choices_are_refused(
    full: Any, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        write(full, tmp_path / "a.tflite", **change)
    with pytest.raises(ValueError, match=r"is named \*\.tflite"):
        write(full, tmp_path / "a.bin")


@pytest.mark.slow
def test_wrong_precisions_are_refused(vae: Any, tmp_path: Path) -> None:
    for wrong in (("int4",), "int8", ()):
        with pytest.raises(ValueError, match="precisions must be a tuple of float32"):
            kvae.export.export(vae, tmp_path / "out", precisions=wrong)
    with pytest.raises(
        ValueError, match="batches must be a tuple of positive integers"
    ):
        kvae.export.export(vae, tmp_path / "out", batches=(0,))


def recurrent(**options):
    x, z = keras.Input((5, 2)), keras.Input((2,))
    encoder = keras.Model(x, keras.layers.LSTM(4, name="reader", **options)(x))
    decoder = keras.Model(z, keras.layers.Dense(10)(z))
    return kvae.VAE(
        encoder,
        decoder,
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((5, 2)),
        seed=0,
    )


@pytest.mark.slow
def test_a_layer_of_the_user_s_own_is_named_with_its_cure(tmp_path, monkeypatch):
    """Neither posterior nor likelihood is to blame for an LSTM in the encoder."""
    monkeypatch.setattr("kvae.networks.unrolled._MOST_STEPS", 4)  # the series has 5
    given = {"signatures": ("encode",), "allow_untrained": True}
    with pytest.raises(kvae.export.ExportRefused) as refused:
        kvae.export.litert(recurrent(), tmp_path / "loops.tflite", **given)
    message = str(refused.value)
    assert "the encoder's layer 'reader' (LSTM)" in message
    assert "TensorListReserve" in message
    assert "batch=1 or unroll=True in the LSTM" in message
    assert "posterior" not in message
    assert len(message) < 400
    kvae.export.litert(recurrent(unroll=True), tmp_path / "unrolled.tflite", **given)
    kvae.export.litert(recurrent(), tmp_path / "one.tflite", batch=1, **given)
