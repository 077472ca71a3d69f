"""The Poisson likelihood."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.count_support import ADVICE, COUNTS, bounded_log_mean, is_count
from kvae.likelihoods.units import CountUnits
from kvae.maths import poisson_log_prob
from kvae.networks import Standardize

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class Poisson(Likelihood):
    """Independent counts whose variance is their mean.

        log P(x|z) = sum_i x[i] log_rate[i](z) - exp(log_rate[i](z)) - log x[i]!

    Args:
        data_shape: shape of one example.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `data_shape` is not a shape.
    """

    support = COUNTS
    advice = ADVICE

    def __init__(self, data_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(data_shape, **kwargs)
        self._log_rate = self.head("log_rate")
        self._units: CountUnits = CountUnits(self)

    def call(self, features: Tensor) -> Params:
        """Maps features to log_rate (B, *data_shape)."""
        log_rate = self._units.log_mean(self._log_rate(features))
        return {"log_rate": bounded_log_mean(log_rate, self.maths_dtype)}

    def preprocessing(self) -> Standardize:
        """Makes a layer that takes log(1 + x) of counts before it standardizes them."""
        return Standardize(log1p=True)

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Poisson)` with batch (B,) and event `data_shape`."""
        poisson = _Poisson(params["log_rate"])
        return tfd.Independent(poisson, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-mass of each count, to float32 rounding for large ones too."""
        return poisson_log_prob(x, params["log_rate"])

    def mean(self, params: Params) -> Tensor:
        """The rate, (B, *data_shape)."""
        return tf.exp(params["log_rate"])

    def supports(self, x: Tensor) -> Tensor:
        """True where x is 0, 1, 2, ..."""
        return is_count(x)


class _Poisson(tfp.distributions.Poisson):
    """TFP's, with a log-mass that stays exact for large counts."""

    def __init__(self, log_rate: Tensor) -> None:
        super().__init__(log_rate=log_rate, name="Poisson")

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
        return super()._parameter_properties(dtype, num_classes)

    def _log_prob(self, x: Tensor) -> Tensor:
        return poisson_log_prob(x, self.log_rate)
