"""The parameters of one example's q(z|x) as free numbers, for optimization."""

from __future__ import annotations

import tensorflow as tf

from kvae.core.types import Params, Tensor

_POSITIVE = ("scale", "concentration", "temperature")


def free_values(params: Params) -> list[Tensor]:
    """Makes the numbers that an optimizer may move: zeros, one per parameter.

    Args:
        params: from the encoder.

    Returns:
        values: a list in the order of the sorted parameter names.
    """
    return [tf.zeros_like(params[name]) for name in sorted(params)]


def place_values(values: list[Tensor], params: Params, latent_dim: int) -> Params:
    """Puts the free numbers back into valid parameters.

    Positive parameters (scale, concentration, temperature) are multiplied by
    exp(value); triangular scales keep zeros above the diagonal and a positive diagonal;
    directions on the sphere stay on it; the triangles of a Sylvester flow keep it
    invertible and its rotations orthogonal; anything else is shifted by the value, in
    units of the posterior's own scale where it has one of the same shape.

    Args:
        values: from `free_values`, moved.
        params: from the encoder.
        latent_dim: D.

    Returns:
        params: of the same family, equal to the encoder's where the values are 0.
    """
    placed = {}
    scale = params.get("scale")
    for value, name in zip(values, sorted(params), strict=True):
        old = params[name]
        if name == "scale_tril" and old.shape[-2:] == (latent_dim, latent_dim):
            diagonal = tf.linalg.diag_part(old)
            size = diagonal[..., None]  # a row moves in units of its own scale
            below = tf.linalg.set_diag(
                tf.linalg.band_part(old + size * value, -1, 0), tf.zeros_like(diagonal)
            )
            grown = diagonal * tf.exp(tf.linalg.diag_part(value))
            placed[name] = below + tf.linalg.diag(grown)
        elif name.split("_")[-1] in _POSITIVE and not name.startswith("log_"):
            placed[name] = old * tf.exp(value)
        elif name == "loc" and "concentration" in params:  # a direction on the sphere
            placed[name] = tf.math.l2_normalize(old + value, axis=-1)
        elif name == "q" and {"r", "s"} <= params.keys():
            # the Cayley transform of a skew matrix is orthogonal; that of 0 is 1
            skew = 0.5 * (value - tf.linalg.matrix_transpose(value))
            one = tf.eye(latent_dim, dtype=old.dtype)
            placed[name] = old @ tf.linalg.solve(one + skew, one - skew)
        elif name in ("r", "s") and old.shape[-2:] == (latent_dim, latent_dim):
            # upper triangles of a Sylvester flow, diagonals within (-1, 1)
            diagonal = tf.clip_by_value(tf.linalg.diag_part(old), -0.9999, 0.9999)
            inner = tf.atanh(diagonal) + tf.linalg.diag_part(value)
            upper = tf.linalg.band_part(old + value, 0, -1)
            placed[name] = tf.linalg.set_diag(upper, tf.tanh(inner))
        elif scale is not None and scale.shape == old.shape:
            placed[name] = old + scale * value
        else:
            placed[name] = old + value
    return placed
