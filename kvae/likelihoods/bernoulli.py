"""The Bernoulli likelihood."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood

tfd = tfp.distributions

_FACTORS = 8  # under one logarithm


@keras.saving.register_keras_serializable(package="kvae")
class Bernoulli(Likelihood):
    """Independent binary pixels.

        log p(x|z) = sum_i x[i] log p[i] + (1 - x[i]) log(1 - p[i]),  p = sigmoid(logits)

    Gray pixels in (0, 1) are read as probabilities. The value is then the expectation
    of log p over images binarized at random, the cross-entropy, and not a density of
    gray values. For a density, use `ContinuousBernoulli` or `Normal`.

    Args:
        data_shape: shape of one example.
        gray: whether to accept gray pixels; False accepts only 0 and 1.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `data_shape` is not a shape.

    Source: Kingma, Welling 2014, arXiv:1312.6114, appendix C.1.
    """

    support = "pixels in [0, 1]"
    advice = (
        "Divide uint8 images by 255 (x / 255.0), or use likelihoods.Normal for data of "
        "any range."
    )

    def __init__(
        self, data_shape: tuple[int, ...], *, gray: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(data_shape, **kwargs)
        self.gray = gray
        if not gray:
            self.support = "pixels that are 0 or 1"
            self.advice = "Binarize them, or let gray=True read them as probabilities."
        self._logits = self.head("logits")

    def call(self, features: Tensor) -> Params:
        """Maps features to logits (B, *data_shape)."""
        return {"logits": keras.ops.cast(self._logits(features), self.maths_dtype)}

    def preprocessing(self) -> None:
        """Makes none, because pixels in [0, 1] are close enough."""

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Bernoulli)` with batch (B,) and event `data_shape`."""
        logits = params["logits"]
        # TFP's default dtype is int32, which would silently truncate 0.9 to 0.
        return tfd.Independent(
            tfd.Bernoulli(logits=logits, dtype=logits.dtype), len(self.data_shape)
        )

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes minus the cross-entropy of each pixel, in one stable kernel."""
        logits = params["logits"]
        shape = tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(logits))
        x, logits = tf.broadcast_to(x, shape), tf.broadcast_to(logits, shape)
        return -tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits)

    def observed_log_prob(
        self, params: Params, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Computes log p of the observed pixels in one row, which is faster with XLA."""
        logits = {"logits": self._row(params["logits"])}
        entries = self.entry_log_prob(logits, self._row(x))
        if observed is not None:
            entries = tf.where(self._row(observed), entries, tf.zeros_like(entries))
        return tf.reduce_sum(entries, axis=-1)

    def observed_log_prob_value(
        self, params: Params, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Computes log p of all pixels with one logarithm for each eight of them.

            log p = sum_i x[i] l[i] - max(l[i], 0) - log prod_j (1 + exp(-|l[j]|))

        The products are of eight factors from 1 to 2, of pixels an eighth of the row
        apart, so that they are made of whole vectors. Each factor is rounded, which
        changes a pixel by 6e-8 nats at most. The gradient of a product is slow, so this
        is not how training computes it.
        """
        size = math.prod(self.data_shape) // _FACTORS
        if observed is not None or not size:
            return self.observed_log_prob(params, x, observed)
        logits, x = self._row(params["logits"]), self._row(x)

        def linear(t: Tensor, x: Tensor) -> Tensor:
            return x * t - tf.nn.relu(t)

        total = tf.constant(0.0, logits.dtype)
        product = tf.constant(1.0, logits.dtype)
        for start in range(0, _FACTORS * size, size):
            part = logits[..., start : start + size]
            total += linear(part, x[..., start : start + size])
            product *= 1.0 + tf.exp(-tf.abs(part))
        total = tf.reduce_sum(total - tf.math.log(product), axis=-1)
        rest = logits[..., _FACTORS * size :]  # fewer than eight pixels, or none
        softplus = tf.math.log1p(tf.exp(-tf.abs(rest)))
        linear_rest = linear(rest, x[..., _FACTORS * size :])
        return total + tf.reduce_sum(linear_rest - softplus, axis=-1)

    def _row(self, value: Tensor) -> Tensor:
        """Puts the pixels of each example in one row."""
        lead = tf.shape(value)[: -len(self.data_shape)]
        return tf.reshape(value, tf.concat([lead, [math.prod(self.data_shape)]], 0))

    def mean(self, params: Params) -> Tensor:
        """The probability of each pixel, (B, *data_shape), in [0, 1]."""
        return tf.sigmoid(params["logits"])

    def supports(self, x: Tensor) -> Tensor:
        """True where x is in [0, 1], or with `gray=False` one of 0 and 1."""
        outside = (x < 0) | (x > 1)
        return ~(outside if self.gray else outside | ((x > 0) & (x < 1)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gray": self.gray}
