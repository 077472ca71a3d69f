"""Triangular matrices made from vectors."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor


def strictly_lower(values: Tensor, dim: int) -> Tensor:
    """Puts vectors below the diagonal of square matrices, row by row.

        matrix[1, 0] = values[0], matrix[2, 0] = values[1], matrix[2, 1] = values[2], ...

    Args:
        values: (..., D (D - 1) / 2).
        dim: D.

    Returns:
        matrix: (..., D, D), zero on and above the diagonal.
    """
    # A gather with fixed indices, because LiteRT lacks the band operations.
    position = np.full((dim, dim), dim * (dim - 1) // 2)
    position[np.tril_indices(dim, -1)] = np.arange(dim * (dim - 1) // 2)
    padded = tf.pad(values, [[0, 0]] * (values.shape.rank - 1) + [[0, 1]])
    flat = tf.gather(padded, position.reshape(-1), axis=-1)
    return tf.reshape(flat, tf.concat([tf.shape(values)[:-1], [dim, dim]], axis=0))


def diagonal(values: Tensor) -> Tensor:
    """Puts vectors (..., D) on the diagonal of matrices (..., D, D), zero elsewhere."""
    return values[..., None] * tf.eye(values.shape[-1], dtype=values.dtype)


def diagonal_part(matrix: Tensor) -> Tensor:
    """Reads the diagonals (..., D) of matrices (..., D, D)."""
    # Each sum has one nonzero term. LiteRT lacks the operation for this.
    on_diagonal = np.eye(matrix.shape[-1], dtype=bool)
    return tf.reduce_sum(tf.where(on_diagonal, matrix, tf.zeros_like(matrix)), axis=-1)
