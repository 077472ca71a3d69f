"""Bernoulli against scipy, also for gray pixels and at extreme logits."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from support.likelihood_checks import assert_draws_follow_masses, doubles, entries

from kvae.likelihoods import Bernoulli

LOGITS = np.array([-40.0, -3.0, -1e-6, 0.0, 0.7, 12.0])


@pytest.fixture
def part():
    return Bernoulli((1,), dtype="float64")


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_log_prob_is_scipys(part, x):
    found = entries(part, doubles(logits=LOGITS), np.full(len(LOGITS), x))
    # The mass of 1 under a logit is that of 0 under its negative.
    expected = special.log_expit(LOGITS if x else -LOGITS)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    middle = slice(1, -1)  # where 1 - p still has all its digits
    expected = stats.bernoulli.logpmf(x, special.expit(LOGITS[middle]))
    np.testing.assert_allclose(found[middle], expected, rtol=1e-9)


def test_gray_pixels_get_the_mean_over_random_binarizations(part):
    """And are not cut down to 0, which is what TFP's default dtype does to them."""
    x, params = np.array([0.1, 0.5, 0.9]), doubles(logits=[2.0, -1.0, 0.3])
    black, white = (entries(part, params, np.full(3, v)) for v in (0.0, 1.0))
    expected = x * white + (1 - x) * black
    np.testing.assert_allclose(entries(part, params, x), expected, rtol=1e-12)
    gray = part.distribution(params).log_prob(tf.constant(x))
    np.testing.assert_allclose(gray, expected.sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-12)]
)
@pytest.mark.parametrize("size", [5, 8, 30, 784])
def test_the_value_without_a_gradient_is_scipys(size, dtype, tolerance):
    """Of rows shorter than eight pixels, of eighths, and of what is left of them."""
    rng = np.random.default_rng(size)
    part = Bernoulli((size,), dtype=dtype)
    logits = rng.normal(0, 8, (3, 2, size))
    logits[..., :4] = -1e4, 1e4, 0.0, -40.0
    x = rng.random((2, size))
    x[:, :2] = 0.0, 1.0
    found = part.log_prob_value({"logits": tf.constant(logits, dtype)}, x)
    each = x * special.log_expit(logits) + (1 - x) * special.log_expit(-logits)
    np.testing.assert_allclose(found, each.sum(axis=-1), rtol=tolerance)
    mask = rng.integers(0, 2, x.shape)
    found = part.log_prob_value({"logits": tf.constant(logits, dtype)}, x, mask)
    np.testing.assert_allclose(found, (mask * each).sum(axis=-1), rtol=tolerance)
    x[1, 0] = 2.0
    found = part.log_prob_value({"logits": tf.constant(logits, dtype)}, x)
    np.testing.assert_array_equal(np.isfinite(found), [[True, False]] * 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_cost_what_they_should(dtype):
    part = Bernoulli((1,), dtype=dtype)
    logits = tf.constant([-1e4, 1e4, -1e4, 1e4], dtype)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        x = tf.constant([0.0, 1.0, 1.0, 0.0], dtype)
        found = part.entry_log_prob({"logits": logits}, x)
    np.testing.assert_array_equal(found, [0.0, 0.0, -1e4, -1e4])
    # d log p / d logit = x - p.
    np.testing.assert_array_equal(tape.gradient(found, logits), [0.0, 0.0, 1.0, -1.0])


def test_images_cost_what_their_pixels_cost():
    """Summed in one row, with latents and examples in front, masked and not."""
    rng = np.random.default_rng(0)
    part = Bernoulli((3, 2, 1), dtype="float64")
    logits, x = rng.normal(0, 3, (4, 5, 3, 2, 1)), rng.integers(0, 2, (5, 3, 2, 1))
    mask = rng.integers(0, 2, x.shape)
    each = np.where(x, special.log_expit(logits), special.log_expit(-logits))
    for given, expected in ((None, each), (mask, each * mask)):
        found = part.log_prob(doubles(logits=logits), tf.constant(x), given)
        np.testing.assert_allclose(found, expected.sum((-3, -2, -1)), rtol=1e-12)


def test_draws_follow_the_masses(part):
    assert_draws_follow_masses(part, doubles(logits=[[-0.8]]), [0.0, 1.0])


def test_binary_data_may_be_asked_for():
    part = Bernoulli((1,), gray=False)
    part.check_support(np.array([[0.0], [1.0]], "float32"))
    with pytest.raises(ValueError, match="pixels that are 0 or 1.*gray=True"):
        part.check_support(np.array([[0.0], [0.5]], "float32"))
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\].*Divide uint8"):
        Bernoulli((1,)).check_support(np.array([[255.0]], "float32"))
