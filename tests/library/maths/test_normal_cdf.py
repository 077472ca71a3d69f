"""normal_cdf against scipy."""

import numpy as np
import scipy.stats
import tensorflow as tf

from kvae.maths import normal_cdf


def test_error_is_below_the_stated_bound():
    x = np.linspace(-12, 12, 20001)
    found = normal_cdf(tf.constant(x)).numpy()
    np.testing.assert_allclose(found, scipy.stats.norm.cdf(x), rtol=0, atol=1e-7)
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_float32_at_the_extremes():
    found = normal_cdf(tf.constant([-np.inf, -1e30, 0.0, 1e30, np.inf], "float32"))
    np.testing.assert_allclose(found, [0.0, 0.0, 0.5, 1.0, 1.0], atol=2e-7)
