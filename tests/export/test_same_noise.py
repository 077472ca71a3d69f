"""One seed means the same bits in Keras, in a SavedModel and in LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kvae.export.checks.verification import litert_runner, saved_model_runner
from kvae.export.signatures import Signature
from kvae.export.targets.saved_model import write_archive
from kvae.noise import Noise, counter_normal, threefry2x32

# Random123, kat_vectors, "threefry2x32 20": counter, key, result.
PUBLISHED = [
    ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
    ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
    ("243f6a88 85a308d3", "13198a2e 03707344", "c4923a9c 483df7a0"),
]


pytestmark = pytest.mark.slow  # tests/library/noise has the law in eager mode

TARGETS = ["eager", "SavedModel", "LiteRT", "LiteRT float16", "LiteRT int8"]


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint32).view(np.int32)


def encrypt(counter: Any, key: Any) -> dict[str, Any]:
    return {"words": tf.stack(threefry2x32((key[0], key[1]), (counter[0], counter[1])))}


def draw(num: Any, seed: Any) -> dict[str, Any]:
    noise = Noise(seed, tf.constant(0))
    num = tf.reshape(num, ())
    return {
        "one": noise.normal(1, num, 7),
        "many": noise.fold(5).normal(3, num, 4),
        "later": counter_normal(seed, tf.range(num), 2, 4, first_sample=3),
    }


ENDPOINTS = [
    Signature(
        "encrypt",
        encrypt,
        tuple(tf.TensorSpec((2,), tf.int32, name) for name in ("counter", "key")),
    ),
    Signature(
        "draw",
        draw,
        (tf.TensorSpec((1,), tf.int32, "num"), tf.TensorSpec((2,), tf.int32, "seed")),
    ),
]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("noise")
    write_archive(ENDPOINTS, folder / "model")
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder / "model"), signature_keys=["encrypt", "draw"]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    Path(folder / "model.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    Path(folder / "int8.tflite").write_bytes(converter.convert())
    converter.target_spec.supported_types = [tf.float16]
    Path(folder / "half.tflite").write_bytes(converter.convert())
    functions = {"encrypt": encrypt, "draw": draw}

    def eager(name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        return {k: v.numpy() for k, v in functions[name](**tensors).items()}

    return {
        "eager": eager,
        "SavedModel": saved_model_runner(folder / "model"),
        "LiteRT": litert_runner(folder / "model.tflite"),
        "LiteRT float16": litert_runner(folder / "half.tflite"),
        "LiteRT int8": litert_runner(folder / "int8.tflite"),
    }


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("counter", "key", "expected"), PUBLISHED)
def test_published_known_answers(
    targets: dict[str, Any], target: str, counter: str, key: str, expected: str
) -> None:
    given = {"counter": words(counter), "key": words(key)}
    got = targets[target]("encrypt", given)["words"]
    np.testing.assert_array_equal(got, words(expected))


@pytest.mark.parametrize("num", [1, 3, 16])
@pytest.mark.parametrize("seed", [(0, 0), (7, -9), (2**31 - 1, -(2**31))])
def test_same_bits_everywhere(
    targets: dict[str, Any], num: int, seed: tuple[int, int]
) -> None:
    given = {"num": np.array([num], np.int32), "seed": np.array(seed, np.int32)}
    expected = targets["eager"]("draw", given)
    assert expected["one"].shape == (1, num, 7)
    for target in TARGETS[1:]:
        got = targets[target]("draw", given)
        for name, value in expected.items():
            assert got[name].tobytes() == value.tobytes(), (target, name)


def test_draws_are_the_published_words_mapped_to_quantiles(
    targets: dict[str, Any],
) -> None:
    # Independently of the graph: the top two 12-bit fields of a word choose quantiles.
    word = int("6b200159", 16)
    seed = {"num": np.array([1], np.int32), "seed": np.zeros(2, np.int32)}
    got = targets["LiteRT"]("draw", seed)["one"][0, 0, 0]
    from scipy.stats import norm

    slices = np.array([word >> 20, (word >> 8) & 0xFFF])
    pdf_at = norm.pdf(norm.ppf(np.stack([slices, slices + 1]) / 4096))
    means = (pdf_at[0] - pdf_at[1]) * 4096  # of N(0, 1) within each slice
    # The table is rescaled to variance 1, by less than one part in 10 000.
    assert got == pytest.approx(means.sum() / np.sqrt(2), rel=2e-4)


def test_folded_sources_differ(targets: dict[str, Any]) -> None:
    key = tf.constant([1, 2])
    folded = [Noise(key, tf.constant(0)).fold(tag).key.numpy() for tag in range(64)]
    assert len({tuple(k) for k in [*folded, key.numpy()]}) == 65
