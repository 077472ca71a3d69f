"""choose_component: in proportion to the weights, and never out of range."""

import numpy as np
import tensorflow as tf
from support.density_laws import assert_mean, normals

from kvae.maths import choose_component


def test_comes_in_proportion_to_the_weights():
    weights = np.array([0.5, 0.05, 0.0001, 0.4499])
    log_weights = tf.constant(np.log(weights) + 3.0)
    index = choose_component(log_weights, tf.constant(normals(50000))).numpy()
    assert_mean(np.eye(4)[index], weights, smallest_bug=0.02)


def test_extreme_noise_stays_in_range():
    for count in (1, 2, 500):
        log_weights = tf.zeros(count)
        index = choose_component(log_weights, tf.constant([-1e9, -40.0, 40.0, 1e9]))
        np.testing.assert_array_equal(index, [0, 0, count - 1, count - 1])
