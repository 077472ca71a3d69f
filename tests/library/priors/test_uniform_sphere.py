"""UniformSphere against the surface of the sphere."""

import math

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import assert_compiles, assert_mean, normals

from kvae.priors import UniformSphere


@pytest.mark.parametrize(("dim", "area"), [(2, 2 * math.pi), (3, 4 * math.pi)])
def test_density_is_one_over_the_surface(dim, area):
    prior = UniformSphere(dim, dtype="float64")
    z = prior.sample(prior(), tf.constant(normals(5, 2, dim)))
    found = prior.log_prob(prior(), z)
    np.testing.assert_allclose(found, np.full((5, 2), -math.log(area)), rtol=1e-12)


def test_draws_are_on_the_sphere_and_prefer_no_direction():
    prior = UniformSphere(4, dtype="float64")
    z = prior.sample(prior(), tf.constant(normals(20000, 4)), 0.3).numpy()
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-12)
    assert_mean(z, np.zeros(4), smallest_bug=0.03)
    assert_mean(z[:, :, None] * z[:, None, :], np.eye(4) / 4, smallest_bug=0.02)


@pytest.mark.slow
def test_eager_graph_and_xla_agree():
    prior = UniformSphere(3)
    noise = tf.constant(normals(5, 3, dtype="float32"))
    assert_compiles(lambda n: prior.sample(prior(), n), noise)


def test_one_dimension_is_refused():
    with pytest.raises(ValueError, match="latent_dim of at least 2; received 1"):
        UniformSphere(1)
