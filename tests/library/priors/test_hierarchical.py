"""The prior of three levels against scipy, and against the Jacobian of its draws."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support.density_laws import autodiff_log_det, normals, randomize

from kvae.priors import Hierarchical

DIMS = (3, 2, 1)


@pytest.fixture
def prior():
    return randomize(Hierarchical(DIMS, units=(8,), activation="tanh", dtype="float64"))


def test_density_equals_scipy_level_by_level(prior):
    low, middle, top = (2 * normals(4, dim, seed=dim) for dim in DIMS)
    expected = [
        stats.norm.logpdf(z, *(np.asarray(v) for v in prior.level(i, tf.constant(up))))
        for i, (z, up) in enumerate([(low, middle), (middle, top)])
    ]
    expected = [e.sum(-1) for e in [*expected, stats.norm.logpdf(top)]]
    z = tf.constant(np.concatenate([low, middle, top], axis=-1))
    np.testing.assert_allclose(prior.level_log_probs(z), expected, rtol=1e-12)
    np.testing.assert_allclose(prior.log_prob(prior(), z), sum(expected), rtol=1e-10)


def test_draws_have_the_density(prior):
    """log p(z) = log Normal(u; 0, 1) - log |det dz/du| at every draw z of u."""
    u = normals(5, sum(DIMS))
    z = prior.sample(prior(), tf.constant(u))
    assert np.abs(z - u)[:, : sum(DIMS[:-1])].max() > 0.1
    log_det = autodiff_log_det(lambda v: prior.forward(v)[0], u)
    expected = stats.norm.logpdf(u).sum(-1) - log_det
    np.testing.assert_allclose(prior.log_prob(prior(), z), expected, rtol=1e-9)


def test_a_level_looks_at_the_one_above_alone(prior):
    with tf.GradientTape() as tape:
        u = tf.constant(normals(1, sum(DIMS)))
        tape.watch(u)
        z = prior.forward(u)[0]
    seen = tape.jacobian(z, u).numpy()[0, :, 0] != 0
    np.testing.assert_array_equal(seen[5], [False] * 5 + [True])
    assert not seen[3:5, :3].any()
    assert seen[3:5, 5].all()
    assert seen[:3, 3:].all()
    # Given the level between, the lowest does not change with the top.
    moved = prior.level_log_probs(z + tf.constant([0.0] * 5 + [1.0], "float64"))
    kept = prior.level_log_probs(z)
    np.testing.assert_array_equal(moved[0], kept[0])
    assert abs(float(moved[1][0] - kept[1][0])) > 1e-3
