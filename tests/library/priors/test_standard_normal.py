"""StandardNormal against scipy."""

import numpy as np
import scipy.stats
import tensorflow as tf
from support.density_laws import normals

from kvae.priors import StandardNormal


def test_density_and_draws():
    prior = StandardNormal(3, dtype="float64")
    noise = normals(6, 4, 3)
    z = prior.sample(prior(), tf.constant(noise))
    np.testing.assert_array_equal(z, noise)
    expected = scipy.stats.norm.logpdf(noise).sum(-1)
    np.testing.assert_allclose(prior.log_prob(prior(), z), expected, rtol=1e-12)
    np.testing.assert_array_equal(prior.sample(prior(), z, 0.5), 0.5 * noise)
    np.testing.assert_array_equal(prior.sample(prior(), z, 0.0), 0.0 * noise)
