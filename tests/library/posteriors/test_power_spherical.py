"""PowerSpherical against quadrature, scipy, the formulas of the paper and Monte Carlo."""

import numpy as np
import pytest
import scipy.special as sp
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from support.density_laws import assert_compiles, assert_gradient, assert_mean, normals

from kvae.posteriors import PowerSpherical

tfd = tfp.distributions


def spherical(dim, concentration, dtype="float64", direction=None):
    """A posterior and parameters with a given concentration."""
    count = np.size(concentration)
    if direction is None:
        direction = normals(count, dim, seed=7)
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    params = {
        "loc": tf.constant(direction, dtype),
        "concentration": tf.constant(np.reshape(concentration, count), dtype),
    }
    return PowerSpherical(dim, dtype=dtype), params


@pytest.mark.parametrize("concentration", [0.0, 0.7, 30.0])
def test_density_integrates_to_one_on_the_circle(concentration):
    posterior, params = spherical(2, [concentration])
    angle = 2 * np.pi * (np.arange(20000) + 0.5) / 20000
    z = np.stack([np.cos(angle), np.sin(angle)], -1)[:, None]
    mass = np.exp(posterior.log_prob(params, tf.constant(z))).sum() * 2 * np.pi / 20000
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)


@pytest.mark.parametrize("concentration", [0.0, 0.7, 30.0])
def test_density_integrates_to_one_on_the_sphere(concentration):
    posterior, params = spherical(3, [concentration])
    # Equal areas: height and longitude are uniform on the sphere (Archimedes).
    height = (-1 + 2 * (np.arange(400) + 0.5) / 400)[:, None]
    angle = (2 * np.pi * (np.arange(400) + 0.5) / 400)[None, :]
    radius = np.sqrt(1 - height**2)
    z = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle], -1
    ).reshape(-1, 1, 3)
    mass = np.exp(posterior.log_prob(params, tf.constant(z))).mean() * 4 * np.pi
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)


@pytest.mark.parametrize("dim", [2, 3, 10])
def test_density_equals_the_paper(dim):
    concentration = np.array([0.2, 3.0, 50.0])
    posterior, params = spherical(dim, concentration)
    z = normals(5, 3, dim)
    z /= np.linalg.norm(z, axis=-1, keepdims=True)
    half = (dim - 1) / 2
    alpha = half + concentration
    log_normalizer = (
        (alpha + half) * np.log(2)
        + half * np.log(np.pi)
        + sp.gammaln(alpha)
        - sp.gammaln(alpha + half)
    )
    cosine = (z * params["loc"].numpy()).sum(-1)
    expected = concentration * np.log1p(cosine) - log_normalizer
    np.testing.assert_allclose(
        posterior.log_prob(params, tf.constant(z)), expected, rtol=1e-9
    )
    tfp_own = tfd.PowerSpherical(params["loc"], params["concentration"])
    np.testing.assert_allclose(tfp_own.log_prob(z), expected, rtol=1e-9)


@pytest.mark.parametrize("dim", [2, 3, 10])
def test_draws_follow_the_law_of_the_angle_and_turn_evenly(dim):
    concentration = np.array([0.5, 8.0])
    posterior, params = spherical(dim, concentration)
    z = posterior.sample(params, tf.constant(normals(20000, 2, dim, seed=1))).numpy()
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-12)
    direction = params["loc"].numpy()
    cosine = (z * direction).sum(-1)
    half = (dim - 1) / 2
    for b in range(2):
        law = scipy.stats.beta(half + concentration[b], half)
        assert scipy.stats.kstest((1 + cosine[:, b]) / 2, law.cdf).pvalue > 1e-4
    mean = (concentration / (concentration + dim - 1))[:, None] * direction
    assert_mean(z, mean, smallest_bug=0.05)
    # Across the direction no side is preferred: zero mean, equal spread.
    across = z - cosine[..., None] * direction
    assert_mean(across, np.zeros((2, dim)), smallest_bug=0.05)
    spread = (across**2).sum(-1)[..., None, None] / (dim - 1)
    plane = np.eye(dim) - direction[:, :, None] * direction[:, None, :]
    products = across[..., :, None] * across[..., None, :]
    assert_mean(products - spread * plane, np.zeros((2, dim, dim)))


def test_density_of_a_draw_equals_the_density_of_the_point():
    posterior, params = spherical(5, [0.1, 3.0, 200.0])
    noise = tf.constant(normals(50, 3, 5, seed=2))
    z, log_prob = posterior.sample_and_log_prob(params, noise)
    np.testing.assert_array_equal(z, posterior.sample(params, noise))
    np.testing.assert_allclose(posterior.log_prob(params, z), log_prob, atol=1e-8)


def surface(dim):
    return np.log(2) + dim / 2 * np.log(np.pi) - sp.gammaln(dim / 2)


@pytest.mark.parametrize("dim", [2, 5, 32])
def test_kl_to_the_uniform_sphere(dim):
    concentration = np.array([1e-3, 0.5, 20.0, 300.0])
    posterior, params = spherical(dim, concentration)
    distribution = posterior.distribution(params)
    uniform = tfd.SphericalUniform(dim, dtype=tf.float64)
    kl = tfd.kl_divergence(distribution, uniform).numpy()
    half = (dim - 1) / 2
    alpha = half + concentration
    negative_entropy = concentration * (
        np.log(2) + sp.digamma(alpha) - sp.digamma(alpha + half)
    ) - (
        (alpha + half) * np.log(2)
        + half * np.log(np.pi)
        + sp.gammaln(alpha)
        - sp.gammaln(alpha + half)
    )
    np.testing.assert_allclose(kl, negative_entropy + surface(dim), atol=1e-9)
    assert (kl > 0).all()
    _, log_q = posterior.sample_and_log_prob(
        params, tf.constant(normals(20000, 4, dim, seed=3))
    )
    assert_mean(log_q + surface(dim), kl, smallest_bug=0.25)


def test_kl_at_concentration_zero_is_zero():
    posterior, params = spherical(4, [0.0])
    uniform = tfd.SphericalUniform(4, dtype=tf.float64)
    kl = tfd.kl_divergence(posterior.distribution(params), uniform)
    np.testing.assert_allclose(kl, 0.0, atol=1e-14)


def test_float32_holds_at_high_concentration():
    concentration = [1.0, 1e3, 1e5]
    double, params = spherical(8, concentration)
    single, _ = spherical(8, concentration, "float32")
    single_params = {k: tf.cast(v, "float32") for k, v in params.items()}
    noise = normals(200, 3, 8, seed=4)
    _, expected = double.sample_and_log_prob(params, tf.constant(noise))
    z, found = single.sample_and_log_prob(single_params, tf.constant(noise, "float32"))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, atol=1e-6)
    kls = [
        tfd.kl_divergence(
            posterior.distribution(values), tfd.SphericalUniform(8, dtype=dtype)
        )
        for posterior, values, dtype in (
            (double, params, tf.float64),
            (single, single_params, tf.float32),
        )
    ]
    np.testing.assert_allclose(kls[1], kls[0], atol=1e-4)


@pytest.mark.parametrize("dim", [2, 3, 6])
def test_gradient_of_a_draw_equals_differences(dim):
    posterior, params = spherical(dim, [0.5, 4.0, 100.0])
    noise = tf.constant(normals(2, 3, dim, seed=5))
    weights = normals(2, 3, dim, seed=6)
    for name in params:
        assert_gradient(
            lambda v, n=name: posterior.sample(params | {n: v}, noise) * weights,
            params[name],
            rtol=1e-4,
            atol=1e-6,
        )
    # The density at the draw does not depend on the direction: both turn together.
    assert_gradient(
        lambda v: posterior.sample_and_log_prob(params | {"concentration": v}, noise)[
            1
        ],
        params["concentration"],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_direction_along_the_first_axis_is_no_special_case(sign):
    posterior, params = spherical(3, [20.0], direction=sign * np.eye(1, 3))
    noise = tf.constant(normals(2000, 1, 3))
    with tf.GradientTape() as tape:
        tape.watch(params)
        z = posterior.sample(params, noise)
    assert sign * z.numpy()[..., 0].mean() > 0.85
    for gradient in tape.gradient(z, params).values():
        assert np.isfinite(gradient).all()


def test_extreme_noise_stays_on_the_sphere_with_a_finite_gradient():
    posterior, params = spherical(4, [0.1, 50.0], "float32")
    noise = tf.constant([[[-40.0, 1, 2, 3]], [[40.0, 1, 2, 3]], [[0.0, 0, 0, 0]]])
    with tf.GradientTape() as tape:
        tape.watch(params)
        z, log_prob = posterior.sample_and_log_prob(params, noise + tf.zeros((3, 2, 4)))
        total = tf.reduce_sum(z) + tf.reduce_sum(log_prob)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, atol=1e-6)
    assert np.isfinite(total)
    for gradient in tape.gradient(total, params).values():
        assert np.isfinite(gradient).all()


def test_features_without_a_direction_get_one():
    posterior = PowerSpherical(3)
    params = posterior(tf.zeros((2, 5)))
    np.testing.assert_allclose(params["loc"], [[1, 0, 0]] * 2)
    np.testing.assert_array_equal(posterior.mean(params), params["loc"])


@pytest.mark.slow
def test_eager_graph_and_xla_agree():
    posterior, params = spherical(3, [0.5, 4.0])
    noise = tf.constant(normals(2, 2, 3))
    assert_compiles(lambda n: posterior.sample_and_log_prob(params, n), noise)


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ValueError, match="latent_dim of at least 2; received 1"):
        PowerSpherical(1)
    with pytest.raises(ValueError, match="min_concentration >= 0; received -1"):
        PowerSpherical(3, min_concentration=-1)
