"""The ladder network: its denoising function, its cost, and few labels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.family import LadderNetwork
from kvae.family.ladder import combine
from kvae.family.steps import LateDecay


def clusters(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three patterns of 30 pixels with a fifth of the pixels flipped."""
    rng = np.random.default_rng(seed)
    kinds = np.random.default_rng(0).random((3, 30)) < 0.5
    y = rng.integers(0, 3, num)
    return (kinds[y] ^ (rng.random((num, 30)) < 0.2)).astype("float32"), y


def test_combine_is_the_function_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    a, z, u = rng.normal(size=(10, 4)), rng.normal(size=(6, 4)), rng.normal(size=(6, 4))

    def curve(b: np.ndarray) -> np.ndarray:
        return b[0] / (1 + np.exp(-(b[1] * u + b[2]))) + b[3] * u + b[4]

    expected = (z - curve(a[:5])) * curve(a[5:]) + curve(a[:5])
    np.testing.assert_allclose(combine(z, u, a), expected, rtol=1e-6)


def test_layers_are_normalized_and_the_cost_weighs_each() -> None:
    """Denoising functions that return 0 pay the mean square of each clean layer."""
    x, _ = clusters(200, 1)
    model = LadderNetwork((8, 5), noise=0.0, costs=(100.0, 10.0, 1.0))
    flat = tf.constant(model.build(x, 3))
    for layer in model.denoise:
        layer.assign(np.zeros(layer.shape))
    _, layers, moments = model.encoder(flat, None)
    for z in layers[1:]:
        np.testing.assert_allclose(np.mean(z, 0), 0, atol=1e-5)
        np.testing.assert_allclose(np.std(z, 0), 1, atol=1e-3)
    expected = 100 * np.square(x).mean()
    for weight, z, (mean, deviation) in zip(
        (10, 1, 1), layers[1:], moments, strict=True
    ):
        expected += weight * np.square(z + mean / deviation).mean()
    found = model.denoising_cost(flat, keras.random.SeedGenerator(0))
    assert np.isclose(float(found), expected, rtol=1e-4)


def test_the_learning_rate_falls_in_the_last_third() -> None:
    rate = LateDecay(0.3, 300)
    found = [float(rate(tf.constant(step))) for step in (0, 199, 225, 250, 300)]
    np.testing.assert_allclose(found, [0.3, 0.3, 0.225, 0.15, 0.0], atol=1e-6)


def trained(costs: tuple[float, float, float]) -> LadderNetwork:
    x, y = clusters(600, 2)
    known = np.where(np.arange(600) < 6, y, -1)  # 6 labels
    assert len(np.unique(y[:6])) == 3
    return LadderNetwork((16, 8), costs=costs, num_steps=300).fit(x, known)


@pytest.mark.slow
def test_unlabeled_pictures_help() -> None:
    """Denoising pictures without labels halves the errors of the same network."""
    x, y = clusters(1000, 3)
    model, alone = trained((100.0, 10.0, 0.1)), trained((0.0, 0.0, 0.0))
    error, without = ((m.predict(x) != y).mean() for m in (model, alone))
    assert error < without - 0.05
    assert error < 0.15
    rebuilt = model.reconstruct(x)
    assert np.square(rebuilt - x).mean() < 0.5 * x.var()
    assert model.encode(x).shape == (1000, 8)
    assert model.sample(2) is None


def test_labels_are_asked_for() -> None:
    with pytest.raises(ValueError, match="-1 where a label is unknown"):
        LadderNetwork().fit(np.zeros((5, 4)))
