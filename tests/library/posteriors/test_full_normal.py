"""FullNormal against numpy, scipy and Monte Carlo."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from support.density_laws import assert_compiles, assert_mean, normals, randomize

from kvae.posteriors import FullNormal

tfd = tfp.distributions
DIM = 3


@pytest.fixture
def posterior():
    posterior = FullNormal(DIM, dtype="float64")
    posterior.build((None, 5))
    return randomize(posterior)


@pytest.fixture
def params(posterior):
    return posterior(tf.constant(normals(4, 5)))


def test_parameters_are_a_cholesky_factor(params):
    tril = params["scale_tril"].numpy()
    assert tril.shape == (4, DIM, DIM)
    assert (np.triu(tril, 1) == 0).all()
    assert (np.abs(tril[:, *np.tril_indices(DIM, -1)]) > 0).all()
    assert (np.diagonal(tril, axis1=1, axis2=2) > 0).all()


def test_log_prob_equals_scipy(posterior, params):
    z = normals(6, 4, DIM, seed=1)
    found = posterior.log_prob(params, tf.constant(z))
    for b in range(4):
        tril = params["scale_tril"][b].numpy()
        reference = scipy.stats.multivariate_normal(params["loc"][b], tril @ tril.T)
        np.testing.assert_allclose(found[:, b], reference.logpdf(z[:, b]), rtol=1e-10)


def test_draw_and_its_density_agree_with_the_distribution(posterior, params):
    noise = tf.constant(normals(6, 4, DIM, seed=2))
    z, log_prob = posterior.sample_and_log_prob(params, noise)
    np.testing.assert_array_equal(z, posterior.sample(params, noise))
    np.testing.assert_allclose(log_prob, posterior.log_prob(params, z), rtol=1e-10)


def test_draws_have_the_claimed_moments(posterior, params):
    z = posterior.sample(params, tf.constant(normals(40000, 4, DIM, seed=3))).numpy()
    tril = params["scale_tril"].numpy()
    assert_mean(z, params["loc"], smallest_bug=0.1)
    centered = z - params["loc"].numpy()
    products = centered[..., :, None] * centered[..., None, :]
    assert_mean(products, tril @ tril.transpose(0, 2, 1), smallest_bug=0.3)


def independent_kl(loc, tril, prior_loc, prior_scale):
    """The textbook form: trace, Mahalanobis distance, log-determinants."""
    covariance, precision = tril @ tril.T, np.diag(prior_scale**-2.0)
    gap = loc - prior_loc
    return 0.5 * (
        np.trace(precision @ covariance)
        + gap @ precision @ gap
        - len(loc)
        + 2 * np.log(prior_scale).sum()
        - np.linalg.slogdet(covariance)[1]
    )


def test_kl_to_a_diagonal_normal_equals_textbook_and_monte_carlo(posterior, params):
    loc, scale = np.array([0.3, -1.0, 0.5]), np.array([0.7, 1.0, 1.6])
    prior = tfd.Independent(tfd.Normal(tf.constant(loc), tf.constant(scale)), 1)
    kl = tfd.kl_divergence(posterior.distribution(params), prior).numpy()
    expected = [
        independent_kl(
            params["loc"][b].numpy(), params["scale_tril"][b].numpy(), loc, scale
        )
        for b in range(4)
    ]
    np.testing.assert_allclose(kl, expected, rtol=1e-10)
    noise = tf.constant(normals(40000, 4, DIM, seed=4))
    z, log_q = posterior.sample_and_log_prob(params, noise)
    assert_mean(log_q - prior.log_prob(z), kl, smallest_bug=0.3)


def test_kl_of_itself_is_zero_and_never_negative(posterior):
    scale = tf.constant([[0.3, 1.0, 2.0]])
    loc = tf.constant([[1.0, -2.0, 0.0]])
    params = {"loc": loc, "scale_tril": tf.linalg.diag(scale)}
    for shift, sign in ((0.0, 0), (1e-3, 1)):
        prior = tfd.Independent(tfd.Normal(loc + shift, scale), 1)
        kl = tfd.kl_divergence(posterior.distribution(params), prior).numpy()
        assert np.sign(kl) == sign


def test_kl_to_anything_else_has_no_closed_form(posterior, params):
    laplace = tfd.Independent(tfd.Laplace(tf.zeros(3, "float64"), 1.0), 1)
    with pytest.raises(NotImplementedError):
        tfd.kl_divergence(posterior.distribution(params), laplace)


def test_starts_as_a_diagonal_normal():
    posterior = FullNormal(DIM)
    tril = posterior(tf.constant(normals(4, 5, dtype="float32")))["scale_tril"].numpy()
    assert (tril[:, *np.tril_indices(DIM, -1)] == 0).all()


def test_extreme_features_give_finite_densities():
    posterior = FullNormal(2)
    posterior.build((None, 1))
    randomize(posterior)
    params = posterior(tf.constant([[1e3], [-1e3]]))
    z, log_prob = posterior.sample_and_log_prob(params, tf.ones((1, 2, 2)))
    assert np.isfinite(z).all()
    assert np.isfinite(log_prob).all()


def test_one_dimension_is_a_normal():
    posterior = FullNormal(1, dtype="float64")
    params = posterior(tf.constant(normals(4, 5)))
    z = tf.constant(normals(2, 4, 1))
    scale = params["scale_tril"][:, 0, 0]
    expected = tfd.Normal(params["loc"][:, 0], scale).log_prob(z[..., 0])
    np.testing.assert_allclose(posterior.log_prob(params, z), expected)


@pytest.mark.slow
def test_eager_graph_and_xla_agree(posterior, params):
    noise = tf.constant(normals(2, 4, DIM))
    assert_compiles(lambda n: posterior.sample_and_log_prob(params, n), noise)
    assert_compiles(lambda z: posterior.log_prob(params, z), noise)


def test_min_scale_must_be_positive():
    with pytest.raises(ValueError, match="expects min_scale > 0; received 0"):
        FullNormal(2, min_scale=0)
