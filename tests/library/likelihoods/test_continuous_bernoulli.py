import numpy as np
import pytest
import tensorflow as tf
from support.likelihood_checks import assert_draws_follow_cdf, doubles, entries

from kvae.likelihoods import ContinuousBernoulli
from kvae.maths.continuous_bernoulli import langevin, log_sinhc

# Through zero, on both sides of where the series ends (1 in logits), far out.
LOGITS = np.array([0.0, 1e-300, 1e-12, -1e-6, 1e-3, 0.1, -0.99999, 1.00001, 3.0, -20.0])
HUGE = np.array([200.0, -5e3, 1e8, -1e30])
NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)
NODES, WEIGHTS = 0.5 + 0.5 * NODES, 0.5 * WEIGHTS  # of the integral over [0, 1]


@pytest.fixture
def part():
    return ContinuousBernoulli((1,), dtype="float64")


def log_normalizer(logits):
    """log of the integral of exp(logits (x - 1/2)), by quadrature."""
    return np.log(np.exp(np.outer(logits, NODES - 0.5)) @ WEIGHTS)


def quadrature_mean(logits):
    weights = np.exp(np.outer(logits, NODES - 0.5)) * WEIGHTS
    return weights @ NODES / weights.sum(axis=1)


def test_log_prob_is_the_bernoulli_form_over_its_integral(part):
    x = np.array([[0.0], [0.25], [0.5], [1.0]])
    expected = LOGITS * (x - 0.5) - log_normalizer(LOGITS)
    np.testing.assert_allclose(
        entries(part, doubles(logits=LOGITS), x), expected, rtol=1e-13, atol=1e-14
    )


def test_log_prob_is_the_published_formula_away_from_half(part):
    lam = np.array([0.02, 0.3, 0.49, 0.51, 0.9])
    constant = 2 * np.arctanh(1 - 2 * lam) / (1 - 2 * lam)
    x = 0.7
    expected = np.log(constant * lam**x * (1 - lam) ** (1 - x))
    logits = np.log(lam) - np.log1p(-lam)
    np.testing.assert_allclose(
        entries(part, doubles(logits=logits), x), expected, rtol=1e-11, atol=1e-13
    )


def test_gradient_is_x_minus_mean_also_at_zero(part):
    for x in (0.0, 0.3, 1.0):
        logits = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            log_prob = part.entry_log_prob(
                {"logits": logits}, tf.constant([x], "float64")
            )
        np.testing.assert_allclose(
            tape.gradient(log_prob, logits), x - quadrature_mean(LOGITS), atol=1e-12
        )


def test_huge_logits_follow_the_asymptote(part):
    for x in (0.0, 1.0, 0.5):
        expected = HUGE * (x - 0.5) - (np.abs(HUGE) / 2 - np.log(np.abs(HUGE)))
        np.testing.assert_allclose(
            entries(part, doubles(logits=HUGE), x), expected, rtol=1e-12, atol=1e-12
        )
    np.testing.assert_allclose(
        part.mean(doubles(logits=HUGE)),
        np.where(HUGE > 0, 1 - 1 / HUGE, -1 / HUGE),
        rtol=1e-12,
        atol=1e-16,
    )


def test_mean_is_the_integral_and_not_the_sigmoid(part):
    mean = part.mean(doubles(logits=LOGITS)).numpy()
    np.testing.assert_allclose(mean, quadrature_mean(LOGITS), rtol=1e-13)
    assert mean[8] == pytest.approx(0.7191, abs=1e-4)  # where the sigmoid is 0.9526


def test_float32_is_as_good_near_zero(part):
    logits = tf.constant([0.0, 1e-6, -1e-4, 1e-2, 0.3, -0.98, 1.02], "float32")
    np.testing.assert_allclose(
        log_sinhc(0.5 * logits), log_sinhc(0.5 * tf.cast(logits, "float64")), atol=1e-7
    )
    np.testing.assert_allclose(
        langevin(0.5 * logits), langevin(0.5 * tf.cast(logits, "float64")), atol=5e-7
    )


@pytest.mark.parametrize("logit", [0.0, 1e-3, -1.5, 9.0])
def test_draws_follow_the_distribution_function(part, logit):
    def cdf(x):
        return x if logit == 0 else np.expm1(logit * x) / np.expm1(logit)

    assert_draws_follow_cdf(part, doubles(logits=[[logit]]), cdf)


def test_mode_is_the_end_that_the_density_rises_to(part):
    mode = part.mode(doubles(logits=[-3.0, 0.0, 1e-9]))
    np.testing.assert_array_equal(mode, [0.0, 0.5, 1.0])
