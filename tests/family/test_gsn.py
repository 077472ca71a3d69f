"""The GSN: its chain, and what a step of training means."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.family import GSN

PATTERNS = np.array([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]], "float32")


@pytest.fixture(scope="module")
def model() -> GSN:
    x = np.repeat(PATTERNS, 60, axis=0)[:90]  # the first twice as often as the second
    return GSN((24, 8), noise=0.3, num_steps=600, learning_rate=5e-3).fit(x)


def test_a_step_without_noise_is_its_formula() -> None:
    model = GSN((5, 3), corruption=0.0, noise=0.0)
    x = model.build(PATTERNS)
    upper = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    logits, above = model.step(tf.constant(x), upper, keras.random.SeedGenerator(0))
    first, second = (np.asarray(k) for k in model.kernels)
    h1 = np.tanh(x @ first + upper @ second.T)
    np.testing.assert_allclose(logits, h1 @ first.T, atol=1e-5)
    np.testing.assert_allclose(above, np.tanh(h1 @ second), atol=1e-5)


def test_corruption_sets_a_share_of_pixels_at_random() -> None:
    """With weights that copy pixels, the logits show what the step saw."""
    model = GSN((400, 1), corruption=0.4, noise=0.0)
    model.build(np.zeros((1, 400)))
    model.kernels[0].assign(np.eye(400))
    x, rest = tf.ones((50, 400)), tf.zeros((50, 1))
    logits, _ = model.step(x, rest, keras.random.SeedGenerator(0))
    seen = np.asarray(logits) > 0.5
    assert abs(1 - seen.mean() - 0.2) < 5 * np.sqrt(0.16 / seen.size)


def test_walkback_pays_for_the_picture_in_each_step() -> None:
    """With weights of 0, each step says 1/2 for each pixel: log 2 nats."""
    model = GSN((4, 2), walkback=3)
    x = tf.constant(model.build(PATTERNS))
    for kernel in model.kernels:
        kernel.assign(np.zeros(kernel.shape))
    cost = model.walkback_cost(x, keras.random.SeedGenerator(0))
    np.testing.assert_allclose(cost, 8 * np.log(2), rtol=1e-5)
    model.biases[0].assign(np.full(8, 2.0))  # the picture counts, not the chain's state
    expected = 4 * np.log1p(np.exp(-2)) + 4 * np.log1p(np.exp(2))
    cost = model.walkback_cost(x, keras.random.SeedGenerator(0))
    np.testing.assert_allclose(cost, expected, rtol=1e-5)


def test_the_chain_visits_the_patterns_as_often_as_the_data(model: GSN) -> None:
    samples = (model.sample(300, seed=2) > 0.5).astype(int)
    kinds = [(samples == pattern.astype(int)).all(1).mean() for pattern in PATTERNS]
    assert sum(kinds) > 0.85
    assert kinds[0] > kinds[1] > 0.1


def test_it_has_no_density_and_says_why(model: GSN) -> None:
    assert model.log_likelihood(PATTERNS) is None
    assert "log_likelihood" in model.missing
    assert np.abs(model.reconstruct(PATTERNS) - PATTERNS).mean() < 0.1
