"""Noise that sets entries to black or white."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_number
from kvae.core.types import Tensor
from kvae.corruptions.base import Corruption, uniform


@keras.saving.register_keras_serializable(package="kvae")
class SaltAndPepper(Corruption):
    """Sets random entries to the lowest or the highest value, with equal probability.

        x~[i] = low  with probability rate / 2
                high with probability rate / 2
                x[i] otherwise

    Args:
        rate: fraction of the entries that are replaced, from 0 to 1.
        low: pepper, in the units of x.
        high: salt, in the units of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `rate` is not in [0, 1].
    """

    def __init__(
        self, rate: float = 0.1, *, low: float = 0.0, high: float = 1.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = self.check_rate(rate)
        self.low = check_number("low", low, -math.inf)
        self.high = check_number("high", high, -math.inf)

    def call(self, x: Tensor, key: Tensor) -> Tensor:
        """Replaces entries of x (B, *data_shape), chosen by the key."""
        u = uniform(tf.shape(x), key)
        low, high = (tf.constant(v, x.dtype) for v in (self.low, self.high))
        salted = tf.where(u < self.rate, high, x)
        return tf.where(u < 0.5 * self.rate, low, salted)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        own = {"rate": self.rate, "low": self.low, "high": self.high}
        return {**super().get_config(), **own}
