import numpy as np
import tensorflow as tf
from scipy import special, stats
from support.likelihood_checks import (
    assert_draws_follow_masses,
    assert_masses_sum_to_one,
    doubles,
    entries,
)

from kvae.likelihoods import NegativeBinomial, ZeroInflatedNegativeBinomial

COUNTS = np.array([0, 1, 2, 30, 10**4])


def test_log_prob_mixes_zeros_into_scipys_masses():
    part = ZeroInflatedNegativeBinomial((1,), dtype="float64")
    logits = np.array([[-6.0], [0.0], [4.0]])
    m, r = 5.0, 1.7
    share = special.expit(logits)
    count = stats.nbinom.logpmf(COUNTS, r, r / (r + m))
    expected = np.where(
        COUNTS == 0,
        np.log(share + (1 - share) * np.exp(count)),
        np.log1p(-share) + count,
    )
    params = doubles(log_mean=np.log(m), total_count=r, zero_logits=logits)
    np.testing.assert_allclose(entries(part, params, COUNTS), expected, rtol=1e-9)


def test_extreme_shares_of_zeros_are_finite_and_right():
    part = ZeroInflatedNegativeBinomial((1,), dtype="float64")
    plain = NegativeBinomial((1,), dtype="float64")
    params = doubles(log_mean=3.0, total_count=2.0, zero_logits=[-1e5, 1e5])
    count = entries(plain, params, 0)[0]
    np.testing.assert_allclose(entries(part, params, 0), [count, 0.0], atol=1e-12)
    count = entries(plain, params, 7)[0]
    np.testing.assert_allclose(entries(part, params, 7), [count, count - 1e5])


def test_gradient_is_finite_at_extremes():
    part = ZeroInflatedNegativeBinomial((1,))
    for logit in (-1e5, 0.0, 1e5):
        for x in (0.0, 5.0):
            params = {
                "log_mean": tf.constant([[19.0]]),
                "total_count": tf.constant([[1e-3]]),
                "zero_logits": tf.constant([[logit]]),
            }
            with tf.GradientTape() as tape:
                tape.watch(params)
                log_prob = part.log_prob(params, [[x]])
            for gradient in tape.gradient(log_prob, params).values():
                assert np.isfinite(gradient).all()


def test_masses_sum_to_one():
    part = ZeroInflatedNegativeBinomial((1,), dtype="float64")
    params = doubles(
        log_mean=np.log([[3.0]]), total_count=2.5, zero_logits=[[-3.0], [0.0], [90.0]]
    )
    assert_masses_sum_to_one(part, params, np.arange(500))


def test_draws_follow_the_masses():
    part = ZeroInflatedNegativeBinomial((1,), dtype="float64")
    params = doubles(log_mean=[[1.5]], total_count=[[2.0]], zero_logits=[[-0.8]])
    assert_draws_follow_masses(part, params, np.arange(200))


def test_mode_is_the_count_of_most_mass():
    part = ZeroInflatedNegativeBinomial((1,), dtype="float64")
    logits = np.linspace(-8, 3, 40)[:, None]
    params = doubles(log_mean=np.log(12.3), total_count=6.0, zero_logits=logits)
    masses = entries(part, params, np.arange(60)[None])
    mode = part.mode(params).numpy()
    np.testing.assert_array_equal(mode[:, 0], masses.argmax(axis=1))
    assert len(np.unique(mode)) == 2
