import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support.likelihood_checks import (
    assert_draws_follow_masses,
    assert_masses_sum_to_one,
    doubles,
    entries,
)

from kvae.likelihoods import NegativeBinomial, Poisson

COUNTS = np.array([0, 1, 2, 9, 10, 300, 10**5])


@pytest.mark.parametrize("r", [1e-3, 0.7, 9.9, 50.0, 1e4])
def test_log_prob_is_scipys(r):
    part = NegativeBinomial((1,), dtype="float64")
    m = np.array([[1e-6], [0.5], [7.0], [1e3], [1e6]])
    np.testing.assert_allclose(
        entries(part, doubles(log_mean=np.log(m), total_count=r), COUNTS),
        stats.nbinom.logpmf(COUNTS, r, r / (r + m)),
        rtol=1e-7,
        atol=1e-7,
    )


def test_a_large_total_count_is_poisson_in_float32_too():
    for dtype, tolerance in (("float64", 1e-3), ("float32", 2e-3)):
        x = tf.constant([0.0, 1.0, 30.0, 200.0], dtype)
        log_mean = tf.constant(np.log(30.0), dtype) + tf.zeros_like(x)
        params = {"log_mean": log_mean, "total_count": 1e8 + tf.zeros_like(x)}
        np.testing.assert_allclose(
            NegativeBinomial((1,), dtype=dtype).entry_log_prob(params, x),
            Poisson((1,), dtype=dtype).entry_log_prob({"log_rate": log_mean}, x),
            atol=tolerance,
        )


def test_float32_does_not_lose_large_counts():
    x = np.array([1e3, 1e4, 1e5, 1e6], "float32")
    params = {
        "log_mean": np.log(x).astype("float32"),
        "total_count": np.full(4, 3.3, "f"),
    }
    single = NegativeBinomial((1,)).entry_log_prob(
        {k: tf.constant(v) for k, v in params.items()}, tf.constant(x)
    )
    exact = entries(NegativeBinomial((1,), dtype="float64"), doubles(**params), x)
    np.testing.assert_allclose(single, exact, atol=1e-3)


def test_extreme_parameters_have_finite_gradients():
    part = NegativeBinomial((1,))
    for log_mean in (-80.0, 0.0, 20.0):
        for r in (1e-3, 1.0, 1e8):
            for x in (0.0, 1.0, 1e5):
                params = {
                    "log_mean": tf.constant([[log_mean]]),
                    "total_count": tf.constant([[r]]),
                }
                with tf.GradientTape() as tape:
                    tape.watch(params)
                    log_prob = part.log_prob(params, [[x]])
                assert np.isfinite(log_prob).all()
                for gradient in tape.gradient(log_prob, params).values():
                    assert np.isfinite(gradient).all()


def test_masses_sum_to_one():
    part = NegativeBinomial((1,), dtype="float64")
    params = doubles(log_mean=np.log([[0.1], [3.0], [20.0]]), total_count=2.5)
    assert_masses_sum_to_one(part, params, np.arange(2000))


def test_draws_follow_the_masses():
    part = NegativeBinomial((1,), dtype="float64")
    params = doubles(log_mean=[[1.5]], total_count=[[0.8]])
    assert_draws_follow_masses(part, params, np.arange(300))


def test_variance_is_that_of_the_docstring():
    part = NegativeBinomial((1,), dtype="float64")
    params = doubles(log_mean=[[1.5]], total_count=[[0.8]])
    m = np.exp(1.5)
    np.testing.assert_allclose(part.mean(params), [[m]])
    np.testing.assert_allclose(part.distribution(params).variance(), [[m + m**2 / 0.8]])


def test_total_count_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match="NegativeBinomial expects total_count .*received"
    ):
        NegativeBinomial((1,), total_count=-1.0)
