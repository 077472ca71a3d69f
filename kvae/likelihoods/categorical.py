"""The categorical likelihood."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_size
from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.count_support import is_count

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class Categorical(Likelihood):
    """Independent entries, each one of n levels, 0 .. n - 1.

        log P(x|z) = sum_i log softmax(logits[i](z))[x[i]]

    An entry is the number of its level, not a one-hot vector: one column of a table,
    one pixel of a palette image. So masks count variables, and data need no extra
    memory.

    Args:
        data_shape: shape of one example.
        levels: n.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `levels` is not an integer of at least 2.
    """

    def __init__(self, data_shape: tuple[int, ...], levels: int, **kwargs: Any) -> None:
        super().__init__(data_shape, **kwargs)
        self.levels = check_size("levels of Categorical", levels, 2)
        self.support = f"level numbers 0, 1, ..., {levels - 1}"
        self.advice = (
            "Turn names into numbers with np.unique(names, return_inverse=True), and "
            "one-hot vectors with x.argmax(-1)."
        )
        self._logits = self.head("logits", (levels,))

    def call(self, features: Tensor) -> Params:
        """Maps features to logits (B, *data_shape, levels)."""
        return {"logits": keras.ops.cast(self._logits(features), self.maths_dtype)}

    def preprocessing(self) -> None:
        """Makes none, because level numbers are not quantities."""

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Categorical)` with batch (B,) and event `data_shape`."""
        logits = params["logits"]
        entries = tfd.Categorical(logits=logits, dtype=logits.dtype)
        return tfd.Independent(entries, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-probability of each entry's level."""
        log_probs = tf.nn.log_softmax(params["logits"])
        numbers = tf.range(self.levels, dtype=log_probs.dtype)
        chosen = tf.equal(x[..., None], numbers)
        # A sum picks the level, because the op that TFP uses does not run on phones.
        log_prob = tf.reduce_sum(
            tf.where(chosen, log_probs, tf.zeros_like(log_probs)), axis=-1
        )
        return tf.where(tf.math.is_nan(x), x, log_prob)

    def mean(self, params: Params) -> Tensor:
        """The mean level number, (B, *data_shape), for levels that have an order.

        If they have no order, use `mode` or the softmax of the logits.
        """
        probs = tf.nn.softmax(params["logits"])
        return tf.reduce_sum(probs * tf.range(self.levels, dtype=probs.dtype), axis=-1)

    def mode(self, params: Params) -> Tensor:
        """The most probable level's number, (B, *data_shape)."""
        best = tf.argmax(params["logits"], axis=-1, output_type=tf.int32)
        return tf.cast(best, params["logits"].dtype)

    def supports(self, x: Tensor) -> Tensor:
        """True where x is a whole number from 0 to n - 1."""
        return is_count(x, self.levels - 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "levels": self.levels}
