import numpy as np
import pytest
import tensorflow as tf
from scipy import special
from support.likelihood_checks import assert_draws_follow_masses

from kvae.likelihoods import Categorical


def test_log_prob_is_the_log_softmax_of_the_level():
    rng = np.random.default_rng(0)
    logits, x = rng.normal(0, 5, (3, 2, 6)), rng.integers(0, 6, (3, 2))
    part = Categorical((2,), levels=6, dtype="float64")
    expected = np.take_along_axis(
        special.log_softmax(logits, axis=-1), x[..., None], axis=-1
    )[..., 0].sum(axis=-1)
    np.testing.assert_allclose(
        part.log_prob({"logits": tf.constant(logits)}, x), expected, rtol=1e-12
    )


def test_extreme_logits_are_finite_with_finite_gradients():
    part = Categorical((1,), levels=3)
    logits = tf.constant([[[1e30, 0.0, -1e30]]])
    for level, expected in enumerate([0.0, -1e30, -2e30]):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            log_prob = part.log_prob({"logits": logits}, [[level]])
        np.testing.assert_allclose(log_prob, [expected], rtol=1e-6)
        assert np.isfinite(tape.gradient(log_prob, logits)).all()


def test_probabilities_of_the_levels_sum_to_one():
    part = Categorical((1,), levels=4, dtype="float64")
    params = {"logits": tf.constant([[[3.0, -2.0, 0.0, 800.0]]], "float64")}
    every = [part.log_prob(params, [[level]]).numpy() for level in range(4)]
    assert special.logsumexp(every) == pytest.approx(0, abs=1e-12)


def test_draws_follow_the_masses():
    part = Categorical((1,), levels=3, dtype="float64")
    params = {"logits": tf.constant([[[0.5, -1.0, 0.0]]], "float64")}
    assert_draws_follow_masses(part, params, np.arange(3))


def test_one_hot_data_are_refused_with_advice():
    part = Categorical((1,), levels=3)
    with pytest.raises(ValueError, match="level numbers 0, 1, ..., 2.*argmax"):
        part.check_support(np.array([[3]]))


@pytest.mark.parametrize("levels", [1, 2.0, True])
def test_levels_must_be_at_least_two(levels):
    with pytest.raises(ValueError, match="levels .*received"):
        Categorical((1,), levels=levels)
