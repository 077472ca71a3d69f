"""A solver for vectors whose entries depend on one another in a fixed order."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from kvae.core.types import Tensor


def solve_in_order(
    update: Callable[[Tensor], Tensor], like: Tensor, backwards: bool = False
) -> Tensor:
    """Solves x = update(x), where update(x)[i] depends only on the entries before i.

    It solves one entry after the other, with D evaluations. Entries that are still unknown
    are held at 0, so that nothing can overflow. The gradient passes through every
    evaluation and is exact.

    Args:
        update: from (..., D) to (..., D).
        like: (..., D), a tensor with the shape and dtype of the solution.
        backwards: whether entry i depends on the entries after i instead.

    Returns:
        x: (..., D).
    """
    dim = like.shape[-1]

    def body(step: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        entry = dim - 1 - step if backwards else step
        return step + 1, tf.where(tf.range(dim) == entry, update(x), x)

    # The bound on the iterations is static, because the gradient needs this under XLA.
    return tf.while_loop(
        lambda step, x: step < dim,
        body,
        (tf.constant(0), tf.zeros_like(like)),
        maximum_iterations=dim,
    )[1]
