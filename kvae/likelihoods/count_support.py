"""The support of counts, and a link function that does not overflow."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_integer
from kvae.core.types import Tensor
from kvae.maths import soft_lower_bound

COUNTS = "counts 0, 1, 2, ..."
ADVICE = (
    "Pass the raw counts, not their logarithms or shares; for real numbers use "
    "likelihoods.Normal."
)
_MAX_LOG_MEAN = 20.0  # a mean of 5e8, beyond where float32 tells counts apart


def bounded_log_mean(raw: Tensor, dtype: str) -> Tensor:
    """Casts a head's output to the log of a mean that no network can make infinite."""
    return -soft_lower_bound(-keras.ops.cast(raw, dtype), -_MAX_LOG_MEAN)


def is_count(x: Tensor, largest: float = math.inf) -> Tensor:
    """True where x is a whole number from 0 to `largest`; NaN counts as one."""
    outside = (x < 0) | (x > largest) | tf.math.is_inf(x)
    return ~(outside | (x < tf.round(x)) | (x > tf.round(x)))


def whole(value: Any) -> bool:
    """Returns whether an argument is a positive integer."""
    return is_integer(value) and value > 0
