"""The normalizer and mean of the continuous Bernoulli, exact also near logits of zero."""

from __future__ import annotations

import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor

# log(sinh(t) / t) = sum_n c_n t^(2n), c_n = (-1)^(n+1) zeta(2n) / (n pi^(2n)). Below
# t = 0.5 the first omitted term is under 5e-16, the rounding of float64.
_SERIES = (
    1 / 6,
    -1 / 180,
    1 / 2835,
    -1 / 37800,
    1 / 467775,
    -691 / 3831077250,
    2 / 127702575,
    -3617 / 2605132530000,
)
_SERIES_BELOW = 0.5


def log_sinhc(t: Tensor) -> Tensor:
    """Computes log(sinh(t) / t), 0 at t = 0, without overflow or cancellation.

    Near zero, the closed form subtracts two nearly equal numbers, and its gradient
    coth(t) - 1 / t two large ones. A power series replaces it there.

    Args:
        t: tensor of any shape.

    Returns:
        y: tensor of the shape of `t`, not negative.
    """
    size = tf.abs(t)
    small = size < _SERIES_BELOW
    square = tf.square(tf.where(small, t, tf.zeros_like(t)))
    # The branch that isn't taken gets a harmless value, because its infinite gradient
    # would otherwise turn into NaN.
    large = tf.where(small, tf.ones_like(size), size)
    closed = large + tf.math.log1p(-tf.exp(-2.0 * large)) - tf.math.log(2.0 * large)
    return tf.where(small, square * _horner(square, _SERIES), closed)


def langevin(t: Tensor) -> Tensor:
    """Computes coth(t) - 1 / t, the derivative of `log_sinhc`; 0 at t = 0.

    Args:
        t: tensor of any shape.

    Returns:
        y: tensor of the shape of `t`, in (-1, 1).
    """
    size = tf.abs(t)
    small = size < _SERIES_BELOW
    near = tf.where(small, t, tf.zeros_like(t))
    slopes = tuple(2 * (n + 1) * c for n, c in enumerate(_SERIES))
    series = near * _horner(tf.square(near), slopes)
    large = tf.where(small, tf.ones_like(size), size)
    decay = tf.exp(-2.0 * large)
    closed = 1.0 + 2.0 * decay / (1.0 - decay) - 1.0 / large
    return tf.where(small, series, tf.where(t < 0, -closed, closed))


@tensor_arguments
def continuous_bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """Computes the log-density of the continuous Bernoulli.

        log p(x) = logits (x - 1/2) - log( sinh(logits / 2) / (logits / 2) )

    This is log( C(lambda) lambda^x (1 - lambda)^(1 - x) ) with lambda = sigmoid(logits),
    in a form that neither cancels at lambda = 1/2 nor saturates at 0 or 1.

    Args:
        x: in [0, 1].
        logits: broadcasts against x.

    Returns:
        log_prob: nats.

    Source: Loaiza-Ganem, Cunningham 2019, arXiv:1907.06845, for the density; the form is
        derived here.
    """
    return logits * (x - 0.5) - log_sinhc(0.5 * logits)


@tensor_arguments
def continuous_bernoulli_mean(logits: Tensor) -> Tensor:
    """Computes the mean, 1/2 + langevin(logits / 2) / 2; it is not sigmoid(logits).

    Args:
        logits: tensor of any shape.

    Returns:
        mean: in (0, 1), the derivative of the log-normalizer.
    """
    return 0.5 + 0.5 * langevin(0.5 * logits)


def _horner(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    total = tf.fill(tf.shape(x), tf.constant(coefficients[-1], x.dtype))
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total
