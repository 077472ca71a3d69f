"""GaussianMixture against scipy, its own draws and given parameters."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from support.density_laws import (
    assert_compiles,
    assert_mean,
    mass_on_plane,
    normals,
    randomize,
)

from kvae.priors import GaussianMixture

WEIGHTS = np.array([0.5, 0.3, 0.2])
LOC = np.array([[-2.0, 0.0], [1.0, 1.5], [2.0, -2.0]])
SCALE = np.array([[0.4, 1.0], [0.8, 0.3], [0.2, 0.6]])


@pytest.fixture
def prior():
    return GaussianMixture.from_parameters(WEIGHTS, LOC, SCALE, dtype="float64")


def mixture_of(law, x):
    return sum(w * law(x, m, s) for w, m, s in zip(WEIGHTS, LOC, SCALE, strict=True))


def test_from_parameters_gives_these_parameters(prior):
    params = prior()
    np.testing.assert_allclose(tf.nn.softmax(params["logits"]), WEIGHTS, rtol=1e-6)
    np.testing.assert_allclose(params["loc"], LOC, rtol=1e-6)
    np.testing.assert_allclose(params["scale"], SCALE, rtol=1e-6)


def test_half_precision_does_not_round_it():
    prior = GaussianMixture.from_parameters(
        WEIGHTS, LOC + 1e-4, SCALE, dtype="mixed_float16"
    )
    np.testing.assert_array_equal(prior()["loc"], (LOC + 1e-4).astype("float32"))


def test_from_parameters_raises_scales_that_are_too_small():
    prior = GaussianMixture.from_parameters([1.0], [[0.0]], [[1e-5]], min_scale=0.1)
    np.testing.assert_allclose(prior()["scale"], [[0.1]], rtol=2e-3)


def test_log_prob_equals_scipy(prior):
    prior._logits.assign(prior._logits + 0.7)  # which changes no share
    z = normals(4, 5, 2)
    expected = np.log(
        mixture_of(lambda x, m, s: scipy.stats.norm(m, s).pdf(x).prod(-1), z)
    )
    found = prior.log_prob(prior(), tf.constant(z))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_density_integrates_to_one(prior):
    np.testing.assert_allclose(
        mass_on_plane(lambda z: prior.log_prob(prior(), z)), 1.0, atol=1e-6
    )


def test_far_away_the_density_is_small_and_finite():
    prior = GaussianMixture(2)
    far = prior.log_prob(prior(), tf.constant([[[1e4, -1e4]]]))
    assert np.isfinite(far).all()
    assert far < -1e6


def test_draws_follow_the_mixture(prior):
    z = prior.sample(prior(), tf.constant(normals(40000, 3, seed=1))).numpy()
    for d in range(2):

        def cdf(x, d=d):
            return mixture_of(lambda x, m, s: scipy.stats.norm(m[d], s[d]).cdf(x), x)

        assert scipy.stats.kstest(z[:, d], cdf).pvalue > 1e-4
    mean = WEIGHTS @ LOC
    assert_mean(z, mean, smallest_bug=0.1)
    second = np.einsum("c,ci,cj->ij", WEIGHTS, LOC, LOC) + np.diag(WEIGHTS @ SCALE**2)
    assert_mean(z[:, :, None] * z[:, None, :], second, smallest_bug=0.2)


def test_temperature_zero_gives_the_centers_in_proportion(prior):
    z = prior.sample(prior(), tf.constant(normals(20000, 3)), 0.0).numpy()
    distance = np.abs(z[:, None] - LOC).max(-1)
    assert distance.min(1).max() < 1e-6
    assert_mean(np.eye(3)[distance.argmin(1)], WEIGHTS, smallest_bug=0.03)


def test_gradient_reaches_every_weight():
    prior = randomize(GaussianMixture(3, num_components=4))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(prior.log_prob(prior(), tf.ones((1, 2, 3))))
    gradients = tape.gradient(loss, prior.trainable_variables)
    assert len(gradients) == 3
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.slow
def test_eager_graph_and_xla_agree(prior):
    params, noise = prior(), tf.constant(normals(6, 3))
    assert_compiles(lambda n: prior.sample(params, n, 0.5), noise)
    assert_compiles(lambda z: prior.log_prob(params, z), tf.constant(normals(2, 3, 2)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], LOC, SCALE), r"received \(1,\), \(3, 2\) and \(3, 2\)"),
        (([0.5, 0.5, 0.0], LOC, SCALE), r"min\(weights\)=0"),
        ((WEIGHTS, LOC, -SCALE), r"min\(scale\)=-1"),
        ((2 * WEIGHTS, LOC, SCALE), "their sum is 2"),
    ],
)
def test_from_parameters_refuses_what_is_no_mixture(arguments, message):
    with pytest.raises(ValueError, match=message):
        GaussianMixture.from_parameters(*arguments)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="num_components must be an integer from 1"):
        GaussianMixture(2, num_components=0)
    with pytest.raises(ValueError, match="min_scale > 0; received 0"):
        GaussianMixture(2, min_scale=0)
