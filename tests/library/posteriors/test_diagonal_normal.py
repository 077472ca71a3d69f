"""DiagonalNormal, and its KL to StandardNormal, against scipy and Monte Carlo."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from support.density_laws import assert_mean, normals, randomize

from kvae.posteriors import DiagonalNormal
from kvae.priors import StandardNormal

tfd = tfp.distributions


@pytest.fixture
def posterior():
    posterior = DiagonalNormal(3, dtype="float64")
    posterior.build((None, 5))
    return randomize(posterior, 0.3)


def test_density_of_draws_equals_scipy(posterior):
    params = posterior(tf.constant(normals(4, 5)))
    z, log_prob = posterior.sample_and_log_prob(params, tf.constant(normals(6, 4, 3)))
    reference = scipy.stats.norm(params["loc"], params["scale"])
    np.testing.assert_allclose(log_prob, reference.logpdf(z).sum(-1), rtol=1e-12)


def test_kl_to_the_standard_normal(posterior):
    params, prior = (
        posterior(tf.constant(normals(4, 5))),
        StandardNormal(3, dtype="float64"),
    )
    p = prior.distribution(prior())
    kl = tfd.kl_divergence(posterior.distribution(params), p).numpy()
    loc, scale = params["loc"].numpy(), params["scale"].numpy()
    expected = 0.5 * (loc**2 + scale**2 - 1.0) - np.log(scale)
    np.testing.assert_allclose(kl, expected.sum(-1), rtol=1e-10)
    z, log_q = posterior.sample_and_log_prob(params, tf.constant(normals(40000, 4, 3)))
    assert_mean(log_q - prior.log_prob(prior(), z), kl, smallest_bug=0.3)
    same = {"loc": tf.zeros((1, 3)), "scale": tf.ones((1, 3))}
    single = StandardNormal(3)
    q = posterior.distribution(same)
    np.testing.assert_array_equal(
        tfd.kl_divergence(q, single.distribution(single())), [0.0]
    )


def test_min_scale_must_be_positive():
    with pytest.raises(ValueError, match="expects min_scale > 0; received 0"):
        DiagonalNormal(3, min_scale=0)
