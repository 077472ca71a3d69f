import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from support.likelihood_checks import (
    assert_draws_follow_masses,
    assert_masses_sum_to_one,
    doubles,
    entries,
)

from kvae.likelihoods import Binomial


@pytest.mark.parametrize("n", [1, 7, 255, 65535])
def test_log_prob_is_scipys(n):
    part = Binomial((1,), total_count=n, dtype="float64")
    logits = np.array([[-9.0], [-1.0], [0.0], [3.0]])
    x = np.unique([0, 1, n // 3, n])
    np.testing.assert_allclose(
        entries(part, doubles(logits=logits), x),
        stats.binom.logpmf(x, n, special.expit(logits)),
        rtol=1e-9,
    )


def test_extreme_logits_cost_what_they_should():
    part = Binomial((1,), dtype="float64")
    params = doubles(logits=[-1e4, 1e4])
    np.testing.assert_allclose(entries(part, params, 0), [0.0, -255e4])
    np.testing.assert_allclose(entries(part, params, 255), [-255e4, 0.0])


def test_float32_keeps_its_digits():
    part, double = Binomial((1,)), Binomial((1,), dtype="float64")
    logits, x = np.linspace(-4, 4, 9, dtype="float32"), np.arange(0, 256, 15)[:, None]
    single = part.entry_log_prob(
        {"logits": tf.constant(logits)}, tf.constant(x, tf.float32)
    )
    expected = entries(double, doubles(logits=logits), x)
    np.testing.assert_allclose(single, expected, rtol=3e-6, atol=1e-4)


def test_masses_sum_to_one():
    part = Binomial((1,), dtype="float64")
    assert_masses_sum_to_one(
        part, doubles(logits=[[-700.0], [-2.0], [0.1], [50.0]]), np.arange(256)
    )


def test_draws_follow_the_masses():
    part = Binomial((1,), total_count=20, dtype="float64")
    assert_draws_follow_masses(part, doubles(logits=[[-1.0]]), np.arange(21))


def test_images_in_unit_range_are_refused_with_advice():
    part = Binomial((1,))
    with pytest.raises(ValueError, match=r"whole numbers from 0 to 255.*\.round\(\)"):
        part.check_support(np.array([[0.5]]))


@pytest.mark.parametrize("n", [0, 2.0, True, 65536])
def test_total_count_must_be_a_positive_integer(n):
    with pytest.raises(ValueError, match="total_count .*received"):
        Binomial((1,), total_count=n)
