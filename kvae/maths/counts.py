"""Log-probabilities of counts whose error does not grow with the count.

The textbook forms subtract log-gammas. At x = 10000 the float32 rounding of lgamma(x + 1)
alone is 0.008 nats per entry. Here the large terms are canceled on paper first, as in
Loader 2000, "Fast and accurate computation of binomial probabilities".
"""

from __future__ import annotations

import math

import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor
from kvae.maths.stable import softplus

_LOG_2PI = math.log(2.0 * math.pi)
# Stirling's series for lgamma. From 10 on, the first omitted term is below 1e-16.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_STIRLING_FROM = 10.0
_STEPS = 10


def stirling_error(x: Tensor) -> Tensor:
    """Computes the error of Stirling's formula for log x!.

        error = lgamma(x + 1) - (x + 1/2) log x + x - 1/2 log(2 pi)

    Args:
        x: positive, any real number.

    Returns:
        error: positive, about 1 / (12 x).
    """
    big = x >= _STIRLING_FROM
    inverse = 1.0 / tf.where(big, x, x + _STEPS)
    square = tf.square(inverse)
    series = tf.fill(tf.shape(x), tf.constant(_STIRLING[-1], x.dtype))
    for coefficient in reversed(_STIRLING[:-1]):
        series = series * square + coefficient
    series = series * inverse
    # Small x go up ten steps of x! = (x + 1)! / (x + 1). This avoids lgamma, which phones
    # don't have.
    small = tf.where(big, tf.ones_like(x), x)
    high = small + _STEPS
    ratio = tf.ones_like(x)
    for step in range(1, _STEPS + 1):
        ratio = ratio * (high / (small + step))
    climb = (small + 0.5) * tf.math.log1p(_STEPS / small) + tf.math.log(ratio) - _STEPS
    return tf.where(big, series, series + climb)


@tensor_arguments
def poisson_log_prob(x: Tensor, log_rate: Tensor) -> Tensor:
    """Computes the log-probability of a Poisson count.

        log P(x) = x log_rate - exp(log_rate) - log x!

    Args:
        x: 0, 1, 2, ...
        log_rate: log of the mean; broadcasts against x.

    Returns:
        log_prob: nats.
    """
    zero = tf.equal(x, 0.0)
    some = tf.where(zero, tf.ones_like(x), x)  # keeps NaN, which must stay visible
    positive = (
        -0.5 * (_LOG_2PI + tf.math.log(some))
        - stirling_error(some)
        - some * _deviance(log_rate - tf.math.log(some))
    )
    return tf.where(zero, -tf.exp(log_rate), positive)


@tensor_arguments
def negative_binomial_log_prob(
    x: Tensor, log_mean: Tensor, total_count: Tensor
) -> Tensor:
    """Computes the log-probability of a negative binomial count, given its mean.

        P(x) = Gamma(x + r) / (Gamma(r) x!) (r / (r + m))^r (m / (r + m))^x

    with mean m, r = total_count, and variance m + m^2 / r. As r grows, it approaches the
    Poisson distribution, and so does the computed number.

    Args:
        x: 0, 1, 2, ...
        log_mean: log m; broadcasts against x.
        total_count: r, positive; broadcasts against x.

    Returns:
        log_prob: nats.
    """
    zero = tf.equal(x, 0.0)
    some = tf.where(zero, tf.ones_like(x), x)
    r = total_count
    log_mean_over_r = log_mean - tf.math.log(r)
    log1p_mean_over_r = softplus(log_mean_over_r)
    # Log of (expected / observed), for the successes and for the failures.
    failures = tf.math.log1p(some / r) - log1p_mean_over_r
    successes = log_mean - tf.math.log(some) + failures
    positive = (
        -tf.math.log1p(some / r)
        + 0.5 * (tf.math.log(1.0 / some + 1.0 / r) - _LOG_2PI)
        + stirling_error(some + r)
        - stirling_error(some)
        - stirling_error(r)
        - some * _deviance(successes)
        - r * _deviance(failures)
    )
    return tf.where(zero, -r * log1p_mean_over_r, positive)


def log_gamma_half_step(x: Tensor) -> Tensor:
    """Computes lgamma(x + 1/2) - lgamma(x), accurately even if both are large.

    Args:
        x: positive.

    Returns:
        y: about log(x) / 2.
    """
    climb = 0.5 * tf.math.log(x) + x * tf.math.log1p(0.5 / x) - 0.5
    return climb + stirling_error(x + 0.5) - stirling_error(x)


def _deviance(u: Tensor) -> Tensor:
    """Computes exp(u) - 1 - u, at least 0."""
    return tf.math.expm1(u) - u
