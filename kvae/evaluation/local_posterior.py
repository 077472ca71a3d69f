"""The parameters of each example's q(z|x) as free numbers, and their optimization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
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


def climb(
    bound: Callable[[list[Tensor], Tensor], Tensor],
    start: list[Tensor],
    steps: int,
    rate: float,
) -> tuple[list[Tensor], list[Tensor]]:
    """Maximizes a bound over free numbers with Adam, each example on its own.

    Adam works on every number separately, so that the examples of a batch don't affect
    one another. The step size falls to 0 along a half cosine.

    Args:
        bound: maps the free numbers and the index of the step to a bound, a scalar or
            (B,) nats.
        start: from `free_values`.
        steps: how many.
        rate: the step size at the start.

    Returns:
        best: the free numbers after all steps.
        late: those after half of them.
    """
    dtype = start[0].dtype

    def body(i: Tensor, values: Any, first: Any, second: Any, late: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(values)
            height = bound(values, i)
        slopes = tape.gradient(height, values)
        t = tf.cast(i, dtype)
        first = [0.9 * m + 0.1 * g for m, g in zip(first, slopes, strict=True)]
        second = [0.99 * v + 0.01 * g * g for v, g in zip(second, slopes, strict=True)]
        size = 0.5 * rate * (1.0 + tf.cos(np.pi * t / steps))
        size *= tf.sqrt(1.0 - 0.99 ** (t + 1.0)) / (1.0 - 0.9 ** (t + 1.0))
        late = [
            tf.where(i == steps // 2, p, q) for p, q in zip(values, late, strict=True)
        ]
        values = [
            p + size * m / (tf.sqrt(v) + 1e-8)
            for p, m, v in zip(values, first, second, strict=True)
        ]
        return i + 1, values, first, second, late

    zeros = [tf.zeros_like(value) for value in start]
    state = (tf.constant(0), start, zeros, zeros, start)
    _, best, _, _, late = tf.while_loop(
        lambda i, *_: i < steps, body, state, maximum_iterations=steps
    )
    return best, late
