"""The laws of priors that transform a standard normal, for each of them."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from support.density_laws import (
    assert_compiles,
    assert_gradient,
    autodiff_log_det,
    mass_on_plane,
    normals,
    randomize,
)

from kvae.priors import MaskedAutoregressiveFlow, RealNVP


@pytest.fixture(params=[RealNVP, MaskedAutoregressiveFlow])
def kind(request):
    return request.param


def made(kind, dim=4, scale=0.5, dtype="float64", **options):
    prior = kind(dim, num_steps=3, units=(8, 8), dtype=dtype, **options)
    return randomize(prior, scale), prior()


def test_inverse_undoes_forward(kind):
    prior, _ = made(kind)
    u = tf.constant(2 * normals(6, 3, 4, seed=1))
    z, log_det = prior.forward(u)
    back, inverse_log_det = prior.inverse(z)
    assert np.abs(z - u).max() > 0.1
    np.testing.assert_allclose(back, u, atol=1e-10)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-10)


def test_log_determinants_equal_the_autodiff_jacobians(kind):
    prior, _ = made(kind)
    u = normals(3, 4, seed=1)
    for direction in (prior.forward, prior.inverse):
        expected = autodiff_log_det(lambda u, d=direction: d(u)[0], u)
        assert np.abs(expected).min() > 1e-3
        np.testing.assert_allclose(direction(tf.constant(u))[1], expected, atol=1e-10)


def test_density_integrates_to_one(kind):
    prior, params = made(kind, dim=2, scale=0.3)
    mass = mass_on_plane(lambda z: prior.log_prob(params, z))
    np.testing.assert_allclose(mass, 1.0, atol=1e-3)


@pytest.mark.slow
def test_density_equals_the_change_of_variables_and_tfp(kind):
    prior, params = made(kind)
    noise = normals(6, 3, 4, seed=2)
    z = prior.sample(params, tf.constant(noise))
    log_det = [autodiff_log_det(lambda u: prior.forward(u)[0], u) for u in noise]
    expected = scipy.stats.norm.logpdf(noise).sum(-1) - np.array(log_det)
    np.testing.assert_allclose(prior.log_prob(params, z), expected, atol=1e-9)
    distribution = prior.distribution(params)
    np.testing.assert_allclose(distribution.log_prob(z), expected, atol=1e-9)
    assert distribution.batch_shape == ()
    assert distribution.event_shape == (4,)


def test_temperature_multiplies_the_noise_and_zero_is_the_center(kind):
    prior, params = made(kind)
    noise = tf.constant(normals(6, 4))
    half = prior.sample(params, noise, 0.5)
    np.testing.assert_allclose(half, prior.sample(params, 0.5 * noise), atol=1e-12)
    cold = prior.sample(params, noise, 0.0).numpy()
    np.testing.assert_allclose(cold, np.broadcast_to(cold[0], cold.shape))


def test_starts_close_to_a_standard_normal(kind):
    prior = kind(4)
    z = tf.constant(normals(1, 50, 4, dtype="float32"))
    expected = scipy.stats.norm.logpdf(z).sum(-1)
    assert np.abs(prior.log_prob(prior(), z) - expected).mean() < 0.5


def test_gradients_equal_differences(kind):
    prior, params = made(kind, dim=3)
    z = normals(2, 1, 3, seed=3)
    assert_gradient(lambda z: prior.log_prob(params, z), z)
    assert_gradient(lambda n: prior.sample(params, n), z)


def test_gradient_reaches_every_weight(kind):
    prior, params = made(kind)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(prior.log_prob(params, tf.constant(normals(1, 9, 4))))
    for variable, gradient in zip(
        prior.trainable_variables,
        tape.gradient(loss, prior.trainable_variables),
        strict=True,
    ):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_learns_a_correlated_normal(kind):
    # Cross-entropy of the standard normal to the data minus their entropy: 0.83 nats.
    correlation = 0.9
    covariance = [[1.0, correlation], [correlation, 1.0]]
    data = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 2048)
    keras.utils.set_random_seed(0)
    prior = kind(2, num_steps=2, units=(16,))
    prior(None)
    z = tf.constant(data[None], tf.float32)
    optimizer = keras.optimizers.Adam(0.02)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(prior.log_prob(prior(), z))
        variables = prior.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss

    losses = [float(step()) for _ in range(200)]
    truth = scipy.stats.multivariate_normal([0, 0], covariance).logpdf(data).mean()
    assert losses[0] + truth > 0.7
    assert abs(losses[-1] + truth) < 0.05


def test_float32_agrees_with_float64(kind):
    double, params = made(kind)
    single, single_params = made(kind, dtype="float32")
    z = normals(1, 50, 4)
    np.testing.assert_allclose(
        single.log_prob(single_params, tf.constant(z, "float32")),
        double.log_prob(params, tf.constant(z)),
        rtol=1e-4,
        atol=1e-3,
    )
    u = tf.constant(z, "float32")
    np.testing.assert_allclose(single.forward(u)[0], double.forward(z)[0], atol=1e-3)


def test_half_precision_networks_keep_densities_in_float32(kind):
    prior, params = made(kind, dtype="mixed_float16")
    z = prior.sample(params, tf.constant(normals(3, 4, dtype="float32")))
    assert z.dtype == tf.float32
    assert prior.log_prob(params, z[None]).dtype == tf.float32


@pytest.mark.slow
def test_eager_graph_and_xla_agree(kind):
    prior, params = made(kind, dim=2)
    z = tf.constant(normals(1, 5, 2))
    assert_compiles(lambda z: prior.log_prob(params, z), z)
    assert_compiles(lambda n: prior.sample(params, n, 0.7), z[0])


def test_arguments_out_of_range_are_refused(kind):
    with pytest.raises(ValueError, match="num_steps must be an integer from 1"):
        kind(3, num_steps=0)


def test_real_nvp_needs_two_dimensions():
    with pytest.raises(ValueError, match="latent_dim of at least 2; received 1"):
        RealNVP(1)


def test_one_autoregressive_dimension_is_affine():
    prior, params = made(MaskedAutoregressiveFlow, dim=1)
    u = tf.constant(normals(5, 1))
    z, log_det = prior.forward(u)
    np.testing.assert_allclose(prior.inverse(z)[0], u, atol=1e-12)
    np.testing.assert_allclose(log_det, np.broadcast_to(log_det[0], (5,)))
