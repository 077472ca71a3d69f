"""The zero-inflated negative binomial likelihood."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.count_support import ADVICE, COUNTS, bounded_log_mean, is_count
from kvae.likelihoods.positive import Positive
from kvae.likelihoods.units import CountUnits
from kvae.maths import negative_binomial_log_prob, softplus
from kvae.maths.stable import accelerated_zeros
from kvae.networks import Standardize

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class ZeroInflatedNegativeBinomial(Likelihood):
    """Independent counts with more zeros than a negative binomial has.

        P(x|z) = g [x = 0] + (1 - g) NegativeBinomial(x; m, r),  g = sigmoid(zero_logits)

    with m, r and g of each entry; the mean is (1 - g) m.

    Args:
        data_shape: shape of one example.
        total_count: r; a positive number keeps it fixed; "learned" learns one for all
            entries; "per_dimension" one per entry; "decoder" makes it a function of z.
        min_total_count: learned r stay above it.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `total_count` or `min_total_count` is not one of these.

    Source: Lopez, Regier, Cole, Jordan, Yosef 2018, "Deep generative modeling for
        single-cell transcriptomics".
    """

    support = COUNTS
    advice = ADVICE

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        total_count: float | str = "per_dimension",
        min_total_count: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        self.total_count = total_count
        self.min_total_count = min_total_count
        self._log_mean = self.head("log_mean")
        self._zero_logits = self.head("zero_logits")
        self._total_count = Positive(
            self, "total_count", total_count, min_total_count, upper=1e8
        )
        self._units: CountUnits = CountUnits(self)

    def call(self, features: Tensor) -> Params:
        """Maps features to log_mean, total_count and zero_logits, each (B, *data_shape)."""
        log_mean = self._units.log_mean(self._log_mean(features))
        log_mean = bounded_log_mean(log_mean, self.maths_dtype)
        zero_logits = keras.ops.cast(self._zero_logits(features), self.maths_dtype)
        return {
            "log_mean": log_mean,
            "total_count": self._total_count(features) + accelerated_zeros(log_mean),
            "zero_logits": zero_logits,
        }

    def preprocessing(self) -> Standardize:
        """Makes a layer that takes log(1 + x) of counts before it standardizes them."""
        return Standardize(log1p=True)

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(ZeroInflatedNegativeBinomial)`: batch (B,)."""
        # TFP 0.25 misreads `inflated_loc_logits` as half of their value; probs are right.
        entries = tfd.ZeroInflatedNegativeBinomial(
            inflated_loc_probs=tf.sigmoid(params["zero_logits"]),
            total_count=params["total_count"],
            logits=params["log_mean"] - tf.math.log(params["total_count"]),
        )
        return tfd.Independent(entries, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-mass of each count, stable for any share of extra zeros."""
        logits = params["zero_logits"]
        count = negative_binomial_log_prob(x, params["log_mean"], params["total_count"])
        # At 0 it is log(g + (1 - g) exp(count)), both terms divided by g.
        zero = softplus(count - logits) - softplus(-logits)
        return tf.where(tf.equal(x, 0.0), zero, count - softplus(logits))

    def mean(self, params: Params) -> Tensor:
        """The mean of each count, (B, *data_shape)."""
        return tf.exp(params["log_mean"]) * tf.sigmoid(-params["zero_logits"])

    def mode(self, params: Params) -> Tensor:
        """The most probable count: 0, or the mode of the negative binomial."""
        r, logits = params["total_count"], params["zero_logits"]
        m = tf.exp(params["log_mean"])
        rival = tf.maximum(tf.floor(m * (r - 1.0) / r), 0.0)
        wins = self.entry_log_prob(params, rival) > self.entry_log_prob(
            params, tf.zeros_like(logits)
        )
        return tf.where(wins, rival, tf.zeros_like(rival))

    def supports(self, x: Tensor) -> Tensor:
        """True where x is 0, 1, 2, ..."""
        return is_count(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "total_count": self.total_count,
            "min_total_count": self.min_total_count,
        }
