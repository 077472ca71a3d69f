import numpy as np
import pytest
import tensorflow as tf

from kvae.maths import soft_lower_bound, softplus
from kvae.maths.stable import accelerated_zeros

POINTS = np.array([-1e4, -104.0, -30.0, -1.0, 0.0, 1e-3, 1.0, 30.0, 89.0, 1e4])


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 3e-7), ("float64", 1e-15)])
def test_softplus_equals_logaddexp(dtype, rtol):
    found = softplus(tf.constant(POINTS, dtype)).numpy()
    np.testing.assert_allclose(found, np.logaddexp(0.0, POINTS), rtol=rtol, atol=1e-44)


def test_gradient_of_softplus_is_the_sigmoid_and_finite_everywhere():
    x = tf.constant(POINTS, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = softplus(x)
    np.testing.assert_allclose(tape.gradient(y, x), tf.sigmoid(x), rtol=1e-12)


def test_soft_lower_bound_stays_above_and_leaves_large_values_alone():
    y = soft_lower_bound(tf.constant(POINTS, tf.float64), -6.0).numpy()
    assert np.all(y >= -6.0)
    assert np.all(np.diff(y) >= 0)
    np.testing.assert_allclose(y[POINTS >= 30], POINTS[POINTS >= 30], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accelerated_zeros_are_zero_even_of_infinity_and_pass_no_gradient(dtype):
    x = tf.constant([*POINTS, np.inf, -np.inf], dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        zeros = accelerated_zeros(x)
    assert zeros.dtype == dtype
    np.testing.assert_array_equal(zeros, np.zeros(len(POINTS) + 2))
    assert tape.gradient(zeros, x) is None
