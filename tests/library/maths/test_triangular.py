"""Triangular matrices and systems against numpy."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import assert_gradient, normals

from kvae.maths.triangular import diagonal, diagonal_part, strictly_lower
from kvae.maths.triangular_solve import solve_in_order


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_strictly_lower_fills_row_by_row(dim):
    values = normals(2, 3, dim * (dim - 1) // 2)
    expected = np.zeros((2, 3, dim, dim))
    expected[..., *np.tril_indices(dim, -1)] = values
    np.testing.assert_array_equal(strictly_lower(tf.constant(values), dim), expected)


def test_diagonal():
    values = normals(2, 3)
    expected = np.stack([np.diag(row) for row in values])
    np.testing.assert_array_equal(diagonal(tf.constant(values)), expected)


def test_diagonal_part():
    values = normals(2, 4, 3, 3)
    values[0, 0, 0, 1] = np.inf  # nothing beside the diagonal may matter
    expected = np.diagonal(values, axis1=-2, axis2=-1)
    np.testing.assert_array_equal(diagonal_part(tf.constant(values)), expected)
    assert_gradient(lambda m: tf.square(diagonal_part(m)), normals(2, 3, 3))


@pytest.mark.parametrize("backwards", [False, True])
def test_solve_in_order_solves_a_triangular_system(backwards):
    matrix = np.tril(normals(4, 4), -1)
    matrix = matrix.T if backwards else matrix
    right = normals(3, 4)

    def solve(right):
        return solve_in_order(
            lambda x: right + tf.linalg.matvec(matrix, x), right, backwards
        )

    expected = np.linalg.solve(np.eye(4) - matrix, right.T).T
    np.testing.assert_allclose(solve(tf.constant(right)), expected, atol=1e-12)
    assert_gradient(lambda right: tf.sin(solve(right)), right)
