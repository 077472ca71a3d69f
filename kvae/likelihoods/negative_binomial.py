"""The negative binomial likelihood."""

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
from kvae.maths import negative_binomial_log_prob
from kvae.maths.stable import accelerated_zeros
from kvae.networks import Standardize

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class NegativeBinomial(Likelihood):
    """Independent counts that spread more than Poisson ones: variance m + m^2 / r.

        P(x|z) = prod_i Gamma(x + r) / (Gamma(r) x!) (r / (r + m))^r (m / (r + m))^x

    with mean m(z) and r = total_count, both of entry i. A large r is the Poisson
    distribution.

    Args:
        data_shape: shape of one example.
        total_count: r; a positive number keeps it fixed; "learned" learns one for all
            entries; "per_dimension" one per entry; "decoder" makes it a function of z.
        min_total_count: learned r stay above it.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `total_count` or `min_total_count` is not one of these.

    Source: by its mean and inverse dispersion as in Lopez, Regier, Cole, Jordan, Yosef
        2018, "Deep generative modeling for single-cell transcriptomics".
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
        self._total_count = Positive(
            self, "total_count", total_count, min_total_count, upper=1e8
        )
        self._units: CountUnits = CountUnits(self)

    def call(self, features: Tensor) -> Params:
        """Maps features to log_mean and total_count, each (B, *data_shape)."""
        log_mean = self._units.log_mean(self._log_mean(features))
        log_mean = bounded_log_mean(log_mean, self.maths_dtype)
        total_count = self._total_count(features) + accelerated_zeros(log_mean)
        return {"log_mean": log_mean, "total_count": total_count}

    def preprocessing(self) -> Standardize:
        """Makes a layer that takes log(1 + x) of counts before it standardizes them."""
        return Standardize(log1p=True)

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(NegativeBinomial)`: batch (B,), event `data_shape`."""
        entries = _NegativeBinomial(params["log_mean"], params["total_count"])
        return tfd.Independent(entries, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-mass of each count, to float32 rounding for large ones too."""
        return negative_binomial_log_prob(x, params["log_mean"], params["total_count"])

    def mean(self, params: Params) -> Tensor:
        """The mean of each count, (B, *data_shape)."""
        return tf.exp(params["log_mean"])

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


class _NegativeBinomial(tfp.distributions.NegativeBinomial):
    """TFP's, with a log-mass that stays exact for large counts."""

    def __init__(self, log_mean: Tensor, total_count: Tensor) -> None:
        logits = log_mean - tf.math.log(total_count)
        super().__init__(total_count, logits=logits, name="NegativeBinomial")
        self._log_mean = log_mean

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
        return super()._parameter_properties(dtype, num_classes)

    def _log_prob(self, x: Tensor) -> Tensor:
        return negative_binomial_log_prob(x, self._log_mean, self.total_count)
