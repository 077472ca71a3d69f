"""The densities of many diagonal normals at many points, as mixtures need them."""

from __future__ import annotations

import math

import tensorflow as tf

from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor
from kvae.maths.precision import float64_exists


@tensor_arguments
def normals_at_points(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Computes the log-density of each of C diagonal normals at each point, in nats.

        log p_c(z) = -1/2 sum_d( z[d]^2 / scale[c,d]^2 - 2 z[d] loc[c,d] / scale[c,d]^2 )
                     - sum_d( loc[c,d]^2 / (2 scale[c,d]^2) + log scale[c,d]
                              + log(2 pi) / 2 )

    The square is expanded, so that most of the work is one matrix product. Its terms
    nearly cancel if scales are small, so float32 is cast to float64 for it. In float64
    itself, and on phones, which don't have float64, differences are squared one by one.

    Args:
        z: (..., D).
        loc: (C, D).
        scale: (C, D), positive.

    Returns:
        log_prob: (..., C) nats, in the dtype of `loc`.
    """
    z = tf.convert_to_tensor(z, loc.dtype)
    if z.dtype == tf.float64 or not float64_exists():
        whitened = (tf.expand_dims(z, -2) - loc) / scale
        squares = tf.reduce_sum(tf.square(whitened), axis=-1)
        return -0.5 * squares + _constant(scale)
    points, loc, scale = (tf.cast(value, tf.float64) for value in (z, loc, scale))
    flat = tf.reshape(points, (-1, tf.shape(loc)[-1]))
    precision = 1.0 / tf.square(scale)
    offset = _constant(scale) - 0.5 * tf.reduce_sum(tf.square(loc) * precision, axis=-1)
    powers = tf.concat([tf.square(flat), flat, tf.ones_like(flat[:, :1])], axis=-1)
    factors = [-0.5 * precision, loc * precision, offset[:, None]]
    log_prob = tf.matmul(powers, tf.concat(factors, axis=-1), transpose_b=True)
    shape = tf.concat([tf.shape(z)[:-1], tf.shape(loc)[:1]], 0)
    return tf.reshape(tf.cast(log_prob, z.dtype), shape)


def _constant(scale: Tensor) -> Tensor:
    half = 0.5 * math.log(2.0 * math.pi)
    return -tf.reduce_sum(tf.math.log(scale) + half, axis=-1)
