"""The laws of posteriors that transform a diagonal normal, for each of them."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import (
    assert_compiles,
    assert_gradient,
    assert_mean,
    autodiff_log_det,
    mass_on_plane,
    normals,
    randomize,
)

from kvae.posteriors import InverseAutoregressiveFlow, SylvesterFlow

FLOWS = {
    "iaf": lambda dim, **kw: InverseAutoregressiveFlow(
        dim, num_steps=2, units=(8, 8), context_dim=3, **kw
    ),
    "sylvester": lambda dim, **kw: SylvesterFlow(
        dim, num_steps=2, num_reflections=2, **kw
    ),
    "sylvester-unrotated": lambda dim, **kw: SylvesterFlow(
        dim, num_steps=2, num_reflections=0, **kw
    ),
}


@pytest.fixture(params=FLOWS)
def make(request):
    return FLOWS[request.param]


# Without rotations the densities of a Sylvester flow are computed in the same way.
ONE_OF_A_CLASS = pytest.mark.parametrize("make", ["iaf", "sylvester"], indirect=True)


def made(make, dim=4, batch=3, scale=0.6, dtype="float64"):
    posterior = make(dim, dtype=dtype)
    posterior.build((None, 5))
    randomize(posterior, scale)
    return posterior, posterior(tf.constant(normals(batch, 5, dtype=dtype)))


def test_inverse_undoes_forward(make):
    posterior, params = made(make)
    u = tf.constant(2 * normals(6, 3, 4, seed=1))
    z, log_det = posterior.forward(params, u)
    back, inverse_log_det = posterior.inverse(params, z)
    assert np.abs(z - u).max() > 0.1
    np.testing.assert_allclose(back, u, atol=1e-10)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-10)


def test_log_determinant_equals_the_autodiff_jacobian(make):
    posterior, params = made(make)
    u = normals(3, 4, seed=1)
    expected = autodiff_log_det(lambda u: posterior.forward(params, u)[0], u)
    log_det = posterior.forward(params, tf.constant(u))[1]
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(log_det, expected, atol=1e-10)


def test_density_integrates_to_one(make):
    posterior, params = made(make, dim=2, batch=1, scale=0.3)
    mass = mass_on_plane(lambda z: posterior.log_prob(params, z), reach=7.0, points=160)
    np.testing.assert_allclose(mass, 1.0, atol=1e-4)


def test_density_of_a_draw_equals_the_density_of_the_point(make):
    posterior, params = made(make)
    noise = tf.constant(normals(6, 3, 4, seed=2))
    z, log_prob = posterior.sample_and_log_prob(params, noise)
    np.testing.assert_array_equal(z, posterior.sample(params, noise))
    np.testing.assert_allclose(posterior.log_prob(params, z), log_prob, atol=1e-9)
    tfp_log_prob = posterior.distribution(params).log_prob(z)
    np.testing.assert_allclose(tfp_log_prob, log_prob, atol=1e-9)


def test_distribution_has_batch_and_event_shapes_and_samples(make):
    posterior, params = made(make)
    distribution = posterior.distribution(params)
    assert distribution.batch_shape == (3,)
    assert distribution.event_shape == (4,)
    own = posterior.sample(params, tf.constant(normals(20000, 3, 4))).numpy()
    theirs = distribution.sample(20000, seed=[1, 2]).numpy()
    assert_mean(theirs - own, np.zeros((3, 4)), smallest_bug=0.2)
    assert_mean(theirs**2 - own**2, np.zeros((3, 4)), sigmas=6)


@pytest.mark.slow
@ONE_OF_A_CLASS
def test_density_integrates_to_one_in_four_dimensions(make):
    # The mass is E_p[q(z) / p(z)], for a normal p wide enough to cover q.
    posterior, params = made(make, scale=0.3)
    draws = posterior.sample(params, tf.constant(normals(4000, 3, 4, seed=5))).numpy()
    spread = 1.5 * draws.std(0)
    noise = normals(40000, 3, 4, seed=6)
    log_q = posterior.log_prob(params, tf.constant(draws.mean(0) + spread * noise))
    log_p = -0.5 * noise**2 - np.log(spread * np.sqrt(2 * np.pi))
    assert_mean(np.exp(log_q - log_p.sum(-1)), np.ones(3), smallest_bug=0.15)


def test_mean_is_the_image_of_the_base_mean(make):
    posterior, params = made(make)
    center = posterior.sample(params, tf.zeros((1, 3, 4), "float64"))[0]
    np.testing.assert_allclose(posterior.mean(params), center, atol=1e-12)


@pytest.mark.slow
@ONE_OF_A_CLASS
def test_gradient_of_the_density_equals_differences(make):
    posterior, params = made(make, dim=3, batch=1)
    z = normals(2, 1, 3, seed=3)
    assert_gradient(lambda z: posterior.log_prob(params, z), z)
    for name in params:
        assert_gradient(
            lambda value, name=name: posterior.log_prob(params | {name: value}, z),
            params[name],
            rtol=1e-4,
            atol=1e-6,
        )


def test_gradient_reaches_every_weight_through_a_draw(make):
    posterior, _ = made(make)
    with tf.GradientTape() as tape:
        params = posterior(tf.constant(normals(3, 5)))
        z, log_prob = posterior.sample_and_log_prob(
            params, tf.constant(normals(1, 3, 4))
        )
        loss = tf.reduce_sum(log_prob + tf.reduce_sum(z**2, -1))
    gradients = tape.gradient(loss, posterior.trainable_variables)
    for variable, gradient in zip(
        posterior.trainable_variables, gradients, strict=True
    ):
        assert gradient is not None, variable.path
        assert np.abs(gradient).max() > 0, variable.path


def test_float32_agrees_with_float64(make):
    double, params = made(make)
    single, _ = made(make, dtype="float32")
    single_params = {k: tf.cast(v, "float32") for k, v in params.items()}
    noise = normals(6, 3, 4, seed=2)
    z, log_prob = double.sample_and_log_prob(params, tf.constant(noise))
    z32, log_prob32 = single.sample_and_log_prob(
        single_params, tf.constant(noise, "float32")
    )
    np.testing.assert_allclose(z32, z, atol=1e-4)
    np.testing.assert_allclose(log_prob32, log_prob, atol=1e-4)
    again = single.log_prob(single_params, z32)
    np.testing.assert_allclose(again, log_prob, atol=5e-3)


@pytest.mark.slow
def test_eager_graph_and_xla_agree(make):
    posterior, params = made(make, dim=2)
    z = tf.constant(normals(2, 3, 2))
    assert_compiles(lambda n: posterior.sample_and_log_prob(params, n), z)
    assert_compiles(lambda z: posterior.log_prob(params, z), z)


def test_one_dimension_works(make):
    posterior, params = made(make, dim=1)
    u = tf.constant(normals(6, 3, 1))
    z, log_det = posterior.forward(params, u)
    np.testing.assert_allclose(posterior.inverse(params, z)[0], u, atol=1e-10)
    expected = autodiff_log_det(lambda u: posterior.forward(params, u)[0], u[0])
    np.testing.assert_allclose(log_det[0], expected, atol=1e-10)


def test_min_scale_must_be_positive(make):
    with pytest.raises(ValueError, match="expects min_scale > 0; received -1"):
        make(2, min_scale=-1)


def test_a_flow_s_distribution_can_be_sliced_and_says_what_it_lacks():
    posterior = InverseAutoregressiveFlow(2)
    params = posterior(np.random.default_rng(0).normal(size=(5, 4)).astype("float32"))
    q = posterior.distribution(params)
    z = np.array([0.3, -0.2], "float32")
    every = q.log_prob(z).numpy()
    np.testing.assert_allclose(q[1:3].log_prob(z), every[1:3], rtol=1e-5)
    np.testing.assert_allclose(q[4].log_prob(z), every[4], rtol=1e-5)
    np.testing.assert_allclose(q[-1].log_prob(z), every[4], rtol=1e-5)
    assert q[2:].sample(3, seed=1).shape == (3, 3, 2)
    with pytest.raises(NotImplementedError, match="mean of a flow has no closed form"):
        q.mean()
