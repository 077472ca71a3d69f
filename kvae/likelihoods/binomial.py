"""The binomial likelihood."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.count_support import is_count, whole
from kvae.maths import softplus

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class Binomial(Likelihood):
    """Independent counts out of n, such as the levels 0 .. 255 of a pixel.

        log P(x|z) = sum_i log choose(n, x[i]) + x[i] log p[i] + (n - x[i]) log(1 - p[i])

    with p = sigmoid(logits). The data are the counts themselves, as integers or floats.
    The mean, and therefore pictures, are in counts too.

    Args:
        data_shape: shape of one example.
        total_count: n, the largest count; at most 65535.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `total_count` is not an integer from 1 to 65535.
    """

    def __init__(
        self, data_shape: tuple[int, ...], *, total_count: int = 255, **kwargs: Any
    ) -> None:
        super().__init__(data_shape, **kwargs)
        if not whole(total_count) or total_count > 65535:
            raise ValueError(
                "Binomial expects total_count to be an integer from 1 to 65535; received "
                f"{total_count!r}."
            )
        self.total_count = total_count
        self.support = f"whole numbers from 0 to {total_count}"
        self.advice = (
            f"Images scaled to [0, 1] are counts again after (x * {total_count}).round(); "
            "unbounded counts are for likelihoods.Poisson or NegativeBinomial."
        )
        self._logits = self.head("logits")

    def call(self, features: Tensor) -> Params:
        """Maps features to logits (B, *data_shape)."""
        return {"logits": keras.ops.cast(self._logits(features), self.maths_dtype)}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Binomial)` with batch (B,) and event `data_shape`."""
        logits = params["logits"]
        total = tf.constant(self.total_count, logits.dtype)
        binomial = tfd.Binomial(total, logits=logits)
        return tfd.Independent(binomial, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-mass of each count; log choose comes from a float64 table."""
        logits = params["logits"]
        index = tf.clip_by_value(tf.cast(x, tf.int32), 0, self.total_count)
        log_choose = tf.gather(
            tf.constant(_log_choose(self.total_count), logits.dtype), index
        )
        failures = self.total_count - x
        return log_choose - x * softplus(-logits) - failures * softplus(logits)

    def mean(self, params: Params) -> Tensor:
        """N p, (B, *data_shape), in counts."""
        return self.total_count * tf.sigmoid(params["logits"])

    def supports(self, x: Tensor) -> Tensor:
        """True where x is a whole number from 0 to n."""
        return is_count(x, self.total_count)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "total_count": self.total_count}


def _log_choose(n: int) -> np.ndarray:
    log_factorial = np.array([math.lgamma(i + 1.0) for i in range(n + 1)])
    return log_factorial[n] - log_factorial - log_factorial[::-1]
