"""A component of a mixture, chosen by one standard normal."""

from __future__ import annotations

import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor
from kvae.maths.normal_cdf import normal_cdf


@tensor_arguments
def choose_component(log_weights: Tensor, noise: Tensor) -> Tensor:
    """Turns a standard normal into a component, by inverting the mixture's weights.

        index = number of c with  weight[0] + ... + weight[c] <= cdf(noise)

    Args:
        log_weights: (C,) or (B, C), logarithms of positive numbers, which don't have to
            add up to 1.
        noise: (...) or (..., B), independent N(0, 1).

    Returns:
        index: in the shape of noise, int32 in 0 ... C - 1. The probability of component
            c is proportional to its weight.
    """
    edges = tf.cumsum(tf.nn.softmax(log_weights), axis=-1)
    # The last edge is dropped: rounding may put it below 1, and an index would reach C.
    passed = edges[..., :-1] <= normal_cdf(noise)[..., None]
    return tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)
