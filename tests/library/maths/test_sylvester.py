"""Sylvester steps against numpy and the autodiff Jacobian."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import autodiff_log_det, normals

from kvae.maths.sylvester import (
    householder_product,
    sylvester_forward,
    sylvester_inverse,
)


def make_step(bound, dtype="float64"):
    """Parameters whose diagonals reach the bound: the hardest to invert."""
    step = {name: np.triu(normals(3, 4, 4, seed=i)) for i, name in enumerate("rs")}
    for sign, matrix in zip((1, -1), step.values(), strict=True):
        matrix[:, range(4), range(4)] = sign * bound
    vectors = tf.constant(normals(3, 2, 4, seed=2))
    step |= {"q": householder_product(vectors), "bias": normals(3, 4, seed=3)}
    return {name: tf.cast(value, dtype) for name, value in step.items()}


def test_householder_product_multiplies_reflections():
    vectors = normals(3, 4)
    expected = np.eye(4)
    for v in vectors:
        expected = expected @ (np.eye(4) - 2 * np.outer(v, v) / (v @ v))
    found = householder_product(tf.constant(vectors))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    none = householder_product(tf.zeros((2, 0, 4)))
    np.testing.assert_array_equal(none, np.stack([np.eye(4)] * 2))


def test_forward_is_the_formula_and_its_log_determinant():
    step, z = make_step(0.9), normals(3, 4, seed=4)
    found, log_det = sylvester_forward(tf.constant(z), step)
    for b in range(3):
        q, r, s, bias = (step[name][b].numpy() for name in ("q", "r", "s", "bias"))
        expected = z[b] + q @ r @ np.tanh(s @ q.T @ z[b] + bias)
        np.testing.assert_allclose(found[b], expected, atol=1e-12)
    jacobian = autodiff_log_det(lambda z: sylvester_forward(z, step)[0], z)
    np.testing.assert_allclose(log_det, jacobian, atol=1e-10)


@pytest.mark.parametrize(
    ("dtype", "bound", "tolerance"),
    [("float64", 0.9, 1e-11), ("float64", 0.99, 1e-9), ("float32", 0.9, 1e-3)],
)
def test_inverse_undoes_forward(dtype, bound, tolerance):
    step = make_step(bound, dtype)
    z = tf.constant(3 * normals(20, 3, 4, seed=4), dtype)
    after, log_det = sylvester_forward(z, step)
    back, inverse_log_det = sylvester_inverse(after, step)
    np.testing.assert_allclose(back, z, atol=tolerance)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=100 * tolerance)
