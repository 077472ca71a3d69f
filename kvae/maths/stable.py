"""Elementary functions that neither overflow nor cancel, on servers and on phones."""

from __future__ import annotations

import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor


@tensor_arguments
def softplus(x: Tensor) -> Tensor:
    """Computes log(1 + exp(x)) without overflow on any target.

        softplus(x) = max(x, 0) + log1p(exp(-|x|))

    The LiteRT converter lowers `tf.nn.softplus` to `log(1 + exp(x))`, which is infinite
    from x = 89 on. This form is finite everywhere. Its gradient is the sigmoid, also at 0,
    where heads often start: there TensorFlow takes 1 for the slope of max and 0 for that
    of relu, so their mean has the right one.

    Args:
        x: tensor of any shape.

    Returns:
        y: tensor of the shape of `x`, positive.
    """
    positive = 0.5 * (tf.maximum(x, 0.0) + tf.nn.relu(x))
    return positive + tf.math.log1p(tf.exp(-tf.abs(x)))


@tensor_arguments
def soft_lower_bound(x: Tensor, bound: float) -> Tensor:
    """Bends x so that it stays above a bound, with a gradient everywhere.

        y = bound + softplus(x - bound)

    Args:
        x: tensor of any shape.
        bound: the value that y approaches from above as x goes to minus infinity.

    Returns:
        y: tensor of the shape of `x`.

    Source: the "soft clip" of log-scales in Rybkin, Daniilidis, Levine 2021,
    arXiv:2006.13202, whose published code bounds log sigma by -6 in this form.
    """
    return bound + softplus(x - bound)


def accelerated_zeros(like: Tensor) -> Tensor:
    """Makes zeros in the shape of a tensor, in operations that phones accelerate.

        zeros = min(like^2, 0)

    XNNPACK supports neither `tf.zeros_like` nor a broadcast to a shape that is known only
    at run time. The zeros have no gradient.

    Args:
        like: tensor of any shape, without NaN, because NaN stays NaN.

    Returns:
        zeros: tensor of the shape and dtype of `like`.
    """
    return tf.minimum(tf.square(tf.stop_gradient(like)), 0.0)
