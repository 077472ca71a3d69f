"""The normal distribution function, from operations that phones have."""

from __future__ import annotations

import math

import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor

_RATE = 0.2316419
_COEFFICIENTS = (
    0.319381530,
    -0.356563782,
    1.781477937,
    -1.821255978,
    1.330274429,
)


@tensor_arguments
def normal_cdf(x: Tensor) -> Tensor:
    """Computes P(X <= x) for X of N(0, 1), to an absolute error below 1e-7.

        cdf(x) = 1 - density(x) * (b1 t + ... + b5 t^5),  t = 1 / (1 + 0.2316419 x),  x >= 0

    LiteRT has no `erf`. This polynomial needs only arithmetic and `exp`. It is accurate
    enough to choose among a few alternatives with a standard normal, but too coarse for
    the tails of a density.

    Args:
        x: tensor of any shape.

    Returns:
        probability: in the shape of x, in [0, 1].

    Source: Abramowitz, Stegun 1964, formula 26.2.17.
    """
    distance = tf.abs(x)
    t = 1.0 / (1.0 + _RATE * distance)
    series = tf.zeros_like(x)
    for coefficient in reversed(_COEFFICIENTS):
        series = (series + coefficient) * t
    density = tf.exp(-0.5 * tf.square(distance)) / math.sqrt(2.0 * math.pi)
    upper_tail = density * series
    return tf.where(x >= 0, 1.0 - upper_tail, upper_tail)
