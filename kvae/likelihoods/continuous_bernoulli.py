"""The continuous Bernoulli likelihood."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.maths import continuous_bernoulli_log_prob, continuous_bernoulli_mean

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class ContinuousBernoulli(Likelihood):
    """Independent entries in [0, 1]: the Bernoulli form, normalized to a density.

        log p(x|z) = sum_i x[i] log l[i] + (1 - x[i]) log(1 - l[i]) + log C(l[i]),
        l = sigmoid(logits),  C(l) = 2 artanh(1 - 2 l) / (1 - 2 l),  C(1/2) = 2

    The mean is not l: at logits of 2 it is 0.66 where l is 0.88.

    Args:
        data_shape: shape of one example.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `data_shape` is not a shape.

    Source: Loaiza-Ganem, Cunningham 2019, arXiv:1907.06845.
    """

    support = "entries in [0, 1]"
    continuous = True
    advice = (
        "Divide uint8 images by 255 (x / 255.0), or use likelihoods.Normal for data of "
        "any range."
    )

    def __init__(self, data_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(data_shape, **kwargs)
        self._logits = self.head("logits")

    def call(self, features: Tensor) -> Params:
        """Maps features to logits (B, *data_shape)."""
        return {"logits": keras.ops.cast(self._logits(features), self.maths_dtype)}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(ContinuousBernoulli)`: batch (B,), event `data_shape`."""
        logits = params["logits"]
        entries = tfd.ContinuousBernoulli(logits=logits, dtype=logits.dtype)
        return tfd.Independent(entries, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-density of each entry, exact through logits of zero."""
        return continuous_bernoulli_log_prob(x, params["logits"])

    def mean(self, params: Params) -> Tensor:
        """The mean of each entry, (B, *data_shape), in (0, 1)."""
        return continuous_bernoulli_mean(params["logits"])

    def mode(self, params: Params) -> Tensor:
        """The end of [0, 1] toward which the density rises; 0.5 if it is flat."""
        return 0.5 + 0.5 * tf.sign(params["logits"])

    def supports(self, x: Tensor) -> Tensor:
        """True where x is in [0, 1]."""
        return ~((x < 0) | (x > 1))
