"""One Sylvester step, a residual layer whose determinant and inverse are cheap."""

from __future__ import annotations

import tensorflow as tf

from kvae.core.types import Params, Tensor
from kvae.maths.triangular import diagonal_part
from kvae.maths.triangular_solve import solve_in_order

_BISECTIONS = 30  # a bracket of width 2 shrinks to 2e-9; two Newton steps do the rest


def sylvester_forward(z: Tensor, step: Params) -> tuple[Tensor, Tensor]:
    """Computes one step and the log-determinant of its Jacobian.

        z' = z + Q R tanh(S Q^T z + b),  log_det = sum_i log(1 + tanh'(.)_i R_ii S_ii)

    Args:
        z: (..., B, D).
        step: "q" (B, D, D) orthogonal, "r" and "s" (B, D, D) upper triangular with
            |R_ii| < 1 and |S_ii| < 1, "bias" (B, D).

    Returns:
        next: (..., B, D).
        log_det: (..., B).

    Source: van den Berg, Hasenclever, Tomczak, Welling 2018, arXiv:1803.05649.
    """
    rotated = tf.linalg.matvec(step["q"], z, transpose_a=True)
    hidden = tf.tanh(tf.linalg.matvec(step["s"], rotated) + step["bias"])
    change = tf.linalg.matvec(step["r"], hidden)
    slope = (1.0 - tf.square(hidden)) * _product(step)
    return (
        z + tf.linalg.matvec(step["q"], change),
        tf.reduce_sum(tf.math.log1p(slope), axis=-1),
    )


def sylvester_inverse(z: Tensor, step: Params) -> tuple[Tensor, Tensor]:
    """Inverts `sylvester_forward` and computes the log-determinant of the inverse.

    In the rotated frame the system is triangular. From the last entry to the first, each
    is the root of a strictly increasing scalar function, which bisection finds. The last
    Newton step is differentiable, so the gradient is that of the exact inverse.

    Args:
        z: (..., B, D).
        step: as in `sylvester_forward`.

    Returns:
        previous: (..., B, D).
        log_det: (..., B), minus that of `sylvester_forward` at the same point.
    """
    target = tf.linalg.matvec(step["q"], z, transpose_a=True)
    r_diagonal = diagonal_part(step["r"])
    s_diagonal = diagonal_part(step["s"])

    def update(rotated: Tensor) -> Tensor:
        # Entries that aren't solved yet are zero and don't contribute to those after them.
        inner = tf.linalg.matvec(step["s"], rotated) + step["bias"]
        others = tf.linalg.matvec(step["r"], tf.tanh(inner)) - r_diagonal * tf.tanh(
            inner
        )
        offset = inner - s_diagonal * rotated
        return _root(r_diagonal, s_diagonal, offset, target - others)

    rotated = solve_in_order(update, target, backwards=True)
    previous = z + tf.linalg.matvec(step["q"], rotated - target)
    return previous, -sylvester_forward(previous, step)[1]


def householder_product(vectors: Tensor) -> Tensor:
    """Multiplies Householder reflections, which gives an orthogonal matrix.

        Q = (1 - 2 v_1 v_1^T / |v_1|^2) ... (1 - 2 v_H v_H^T / |v_H|^2)

    Args:
        vectors: (..., H, D), not zero; H may be 0.

    Returns:
        q: (..., D, D).
    """
    unit = tf.math.l2_normalize(vectors, axis=-1)
    q = tf.eye(vectors.shape[-1], batch_shape=tf.shape(vectors)[:-2], dtype=unit.dtype)
    for index in range(vectors.shape[-2]):
        v = unit[..., index, :]
        q -= 2.0 * tf.linalg.matvec(q, v)[..., None] * v[..., None, :]
    return q


def _product(step: Params) -> Tensor:
    return diagonal_part(step["r"]) * diagonal_part(step["s"])


def _root(r: Tensor, s: Tensor, offset: Tensor, target: Tensor) -> Tensor:
    """Solves a + r tanh(s a + offset) = target for a, entry by entry, where |r s| < 1."""
    fixed = [tf.stop_gradient(tensor) for tensor in (r, s, offset, target)]

    def excess(
        a: Tensor, r: Tensor, s: Tensor, offset: Tensor, target: Tensor
    ) -> Tensor:
        return a + r * tf.tanh(s * a + offset) - target

    def halve(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        middle = 0.5 * (low + high)
        above = excess(middle, *fixed) > 0
        return tf.where(above, low, middle), tf.where(above, middle, high)

    reach = tf.abs(fixed[0])  # tanh is bounded by 1
    low, high = tf.while_loop(
        lambda low, high: True,
        halve,
        (fixed[3] - reach, fixed[3] + reach),
        maximum_iterations=_BISECTIONS,
    )
    a = tf.stop_gradient(0.5 * (low + high))
    for arguments in (fixed, [r, s, offset, target]):
        hidden = tf.tanh(fixed[1] * a + fixed[2])
        slope = 1.0 + fixed[0] * fixed[1] * (1.0 - tf.square(hidden))
        a = tf.stop_gradient(a) - excess(
            tf.stop_gradient(a), *arguments
        ) / tf.stop_gradient(slope)
    return a
