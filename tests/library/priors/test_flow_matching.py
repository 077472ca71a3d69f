"""The flow's density is that of its draws, and fitting moves it to the latents."""

import numpy as np
import pytest
import tensorflow as tf
from support import density_laws

import kvae
from kvae.priors import FlowMatching

OPTIONS = {"num_steps": 24, "density_steps": 24, "width": 8, "num_blocks": 1}


def random_flow(shape, **options):
    prior = FlowMatching(shape, **{**OPTIONS, **options}, dtype="float64")
    density_laws.randomize(prior, scale=0.2)
    return prior


@pytest.mark.slow
def test_density_equals_the_change_of_variables():
    """log p(z) = log N(u) - log |det dz/du|, the Jacobian of the draw by autodiff."""
    prior = random_flow(3)
    u = tf.constant(np.random.default_rng(0).normal(size=(5, prior.latent_dim)))
    params = prior(None)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = prior.sample(params, u)
    log_det = np.linalg.slogdet(tape.batch_jacobian(z, u))[1]
    normal = -0.5 * np.sum(u**2 + np.log(2 * np.pi), axis=-1)
    # Midpoint steps: the error of both sides is of the square of the step, 1/24.
    np.testing.assert_allclose(prior.log_prob(params, z), normal - log_det, atol=0.02)
    np.testing.assert_allclose(prior.inverse(z)[0], u, atol=0.02)


@pytest.mark.parametrize("shape", [(2, 3, 2), (8, 8, 1)])  # of one level and of two
def test_the_divergence_of_maps_is_the_trace_of_the_jacobian(shape):
    prior = random_flow(shape)
    z = tf.constant(np.random.default_rng(0).normal(size=(3, prior.latent_dim)))
    with tf.GradientTape() as tape:
        tape.watch(z)
        velocity = prior._velocity(z, 0.3)
    jacobian = tape.batch_jacobian(velocity, z)
    speed, divergence = prior._divergence(z, 0.3)
    np.testing.assert_allclose(speed, velocity, atol=1e-12)
    np.testing.assert_allclose(divergence, tf.linalg.trace(jacobian), atol=1e-9)
    assert np.ptp(divergence) > 0.01  # far from the zeros of an untrained flow


def test_many_dimensions_are_estimated_along_random_signs(monkeypatch):
    """With every sign pattern as a probe the estimate is the trace itself."""
    prior = random_flow(2)
    u = tf.constant(np.random.default_rng(1).normal(size=(4, 2)))
    exact = prior.forward(u)[1]
    signs = tf.constant([[1.0, 1.0], [1.0, -1.0]], tf.float64)
    monkeypatch.setattr("kvae.priors.flow_matching._EXACT", 0)
    monkeypatch.setattr(prior, "_probes", lambda dtype: signs)
    np.testing.assert_allclose(prior.forward(u)[1], exact, atol=1e-10)
    monkeypatch.undo()
    probes = FlowMatching(100, width=8, num_blocks=1)._probes("float32")
    assert probes.shape == (8, 100)
    assert set(np.unique(probes)) == {-1.0, 1.0}


def test_the_loss_is_zero_for_the_velocity_that_is_right():
    """For a single latent m, the velocity (m - x) / (1 - t) carries everything to it."""

    class Straight(FlowMatching):
        def _velocity(self, place, time):
            return (self.end - place) / (1.0 - time[:, None])

    prior = Straight(2)
    z = tf.ones((64, 2)) * [[3.0, -1.0]]
    prior.end = z
    assert float(prior.fit_loss(z, tf.constant([1, 2]))) < 1e-6
    prior.end = z + 1.0
    assert float(prior.fit_loss(z, tf.constant([1, 2]))) > 1.0


def test_arguments_out_of_range_are_refused():
    for shape in ((10, 4), (2, 2, 2, 2)):
        with pytest.raises(ValueError, match=r"vectors, D, or maps, \(h, w, c\)"):
            FlowMatching(shape)
    with pytest.raises(ValueError, match="density_steps must be an integer from 1"):
        FlowMatching(2, density_steps=0)
    assert FlowMatching((2, 2, 3)).latent_dim == 12
    assert (FlowMatching((16, 16, 1)).width, FlowMatching((32, 32, 1)).width) == (
        64,
        32,
    )
    assert issubclass(FlowMatching, kvae.priors.RealNVP.__base__)
