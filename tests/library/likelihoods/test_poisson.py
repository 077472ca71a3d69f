import numpy as np
import scipy.stats
import tensorflow as tf
from scipy import stats
from support.likelihood_checks import (
    assert_draws_follow_masses,
    assert_masses_sum_to_one,
    doubles,
    entries,
)

from kvae.likelihoods import Poisson
from kvae.maths.counts import stirling_error

COUNTS = np.array([0, 1, 2, 9, 10, 11, 300, 10**5, 10**7])


def test_log_prob_is_scipys():
    part = Poisson((1,), dtype="float64")
    log_rate = np.array([[-30.0], [-1.0], [0.0], [2.3], [11.5], [16.0]])
    np.testing.assert_allclose(
        entries(part, doubles(log_rate=log_rate), COUNTS),
        stats.poisson.logpmf(COUNTS, np.exp(log_rate)),
        rtol=1e-7,  # scipy's own form cancels at large counts
        atol=1e-7,
    )


def test_float32_does_not_lose_large_counts():
    x = np.array([1e3, 1e4, 1e5, 1e6], "float32")
    log_rate = np.log(x * 1.001).astype("float32")
    single = Poisson((1,)).entry_log_prob(
        {"log_rate": tf.constant(log_rate)}, tf.constant(x)
    )
    exact = entries(Poisson((1,), dtype="float64"), doubles(log_rate=log_rate), x)
    # The difference of log-gammas is off by up to half a nat at a million.
    np.testing.assert_allclose(single, exact, atol=2e-3)


def test_stirling_error_is_continuous_and_right():
    x = tf.constant(
        [0.3, 1.0, 5.0, 9.9999999, 10.0, 10.0000001, 15.0, 100.0], "float64"
    )
    direct = (
        tf.math.lgamma(x + 1) - (x + 0.5) * tf.math.log(x) + x - 0.5 * np.log(2 * np.pi)
    )
    np.testing.assert_allclose(stirling_error(x), direct, atol=2e-13)


def test_masses_sum_to_one():
    part = Poisson((1,), dtype="float64")
    params = doubles(log_rate=np.log([[1e-9], [0.5], [40.0]]))
    assert_masses_sum_to_one(part, params, np.arange(400))


def test_draws_follow_the_masses():
    part = Poisson((1,), dtype="float64")
    assert_draws_follow_masses(part, doubles(log_rate=[[1.2]]), np.arange(40))


def test_rate_stays_finite_for_any_features():
    part = Poisson((1,))
    part(tf.zeros((1, 1)))
    part._log_rate.set_weights([np.ones((1, 1)), np.zeros(1)])
    np.testing.assert_allclose(
        part(tf.constant([[3.0]]))["log_rate"], [[3.0]], atol=1e-5
    )
    np.testing.assert_allclose(part(tf.constant([[1e6]]))["log_rate"], [[20.0]])


def test_the_distribution_does_not_lose_large_counts_either():
    """`vae.decode(z).log_prob(x)` is the density that was trained."""
    x = np.array([[1e6]], "float32")
    params = {"log_rate": tf.constant(np.log(x * 1.001).astype("float32"))}
    part = Poisson((1,))
    exact = scipy.stats.poisson.logpmf(
        1e6, np.exp(np.float64(params["log_rate"][0, 0]))
    )
    np.testing.assert_allclose(
        part.distribution(params).log_prob(x), [exact], atol=2e-3
    )
