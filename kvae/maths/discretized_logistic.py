"""The logistic distribution, rounded to equally spaced levels."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_size
from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor
from kvae.maths.stable import softplus

_EDGES_AT_ONCE = 32  # numbers that the mean holds in memory per entry


@tensor_arguments
def discretized_logistic_log_prob(
    x: Tensor, loc: Tensor, scale: Tensor, low: float, high: float, levels: int
) -> Tensor:
    """Computes the log-probability of a level, exact in the tails and for any scale.

        P(x) = sigmoid(u) - sigmoid(l)
        u = (x - loc + h) / scale,  l = (x - loc - h) / scale

    where h is half a step. The lowest level takes all mass below it (sigmoid(l) becomes
    0), and the highest all mass above it (sigmoid(u) becomes 1). The difference is never
    computed as such:

        log P = log sigmoid(u) + log sigmoid(-l) + log(1 - exp(-(u - l)))

    Args:
        x: levels low, low + step, ..., high.
        loc: in the units of x; broadcasts against x.
        scale: positive, in the units of x; broadcasts against x.
        low: the lowest level.
        high: the highest level.
        levels: how many.

    Returns:
        log_prob: nats. The exponentials over all levels sum to one.

    Source: Salimans, Karpathy, Chen, Kingma 2017, arXiv:1701.05517, for the
        probabilities; the form is derived here.
    """
    step = (high - low) / (check_size("levels", levels, 2) - 1)
    gap = x - loc
    below = -softplus(-(gap + 0.5 * step) / scale)  # log P(not above this level)
    above = -softplus((gap - 0.5 * step) / scale)  # log P(not below this level)
    width = tf.math.log(-tf.math.expm1(-step / scale))
    log_prob = below + above + width
    log_prob = tf.where(x > high - 0.5 * step, above, log_prob)
    return tf.where(x < low + 0.5 * step, below, log_prob)


@tensor_arguments
def discretized_logistic_mean(
    loc: Tensor, scale: Tensor, low: float, high: float, levels: int
) -> Tensor:
    """Computes the mean level, exactly, from the distribution function.

        mean = low + step * sum_i sigmoid((loc - edge_i) / scale)

    over the (levels - 1) edges between levels. Each term is P(x > edge_i).

    Args:
        loc: tensor of any shape, in the units of x.
        scale: in the shape of loc.
        low: the lowest level.
        high: the highest level.
        levels: how many. Time grows with this number, memory doesn't.

    Returns:
        mean: in the shape of loc, in [low, high].
    """
    step = (high - low) / (check_size("levels", levels, 2) - 1)
    edges = low + step * (np.arange(1, levels) - 0.5)
    # Only two axes: phones broadcast few axes, and the caller may have many.
    flat_loc, flat_scale = tf.reshape(loc, (-1, 1)), tf.reshape(scale, (-1, 1))
    total = tf.zeros_like(flat_loc[:, 0])
    for some in np.array_split(edges, math.ceil(len(edges) / _EDGES_AT_ONCE)):
        gap = flat_loc - tf.constant(some[None, :], flat_loc.dtype)
        total += tf.reduce_sum(tf.sigmoid(gap / flat_scale), axis=-1)
    return low + step * tf.reshape(total, tf.shape(loc))


@tensor_arguments
def discretized_logistic_mode(
    loc: Tensor, scale: Tensor, low: float, high: float, levels: int
) -> Tensor:
    """Finds the most probable level: the one nearest to loc, or an outermost one.

    Args:
        loc: tensor of any shape, in the units of x.
        scale: in the shape of loc.
        low: the lowest level.
        high: the highest level.
        levels: how many.

    Returns:
        mode: in the shape of loc.
    """
    best = nearest_level(loc, low, high, levels)
    arguments = (loc, scale, low, high, levels)
    most = discretized_logistic_log_prob(best, *arguments)
    for edge in (low, high):
        rival = tf.fill(tf.shape(loc), tf.constant(edge, loc.dtype))
        log_prob = discretized_logistic_log_prob(rival, *arguments)
        best = tf.where(log_prob > most, rival, best)
        most = tf.maximum(log_prob, most)
    return best


def nearest_level(x: Tensor, low: float, high: float, levels: int) -> Tensor:
    """Rounds x to the nearest of the levels low, low + step, ..., high.

    Args:
        x: tensor of any shape.
        low: the lowest level.
        high: the highest level.
        levels: how many.

    Returns:
        level: in the shape of x.
    """
    index = tf.round((x - low) * ((levels - 1) / (high - low)))
    index = tf.clip_by_value(index, 0.0, levels - 1.0)
    # Multiplying by the spacing alone would miss `high` by a rounding error.
    share = index / (levels - 1.0)
    return low + (high - low) * share
