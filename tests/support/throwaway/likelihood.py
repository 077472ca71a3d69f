"""A likelihood."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.likelihoods import Likelihood

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="throwaway")
class Waits(Likelihood):
    """p(x|z) = prod_i rate[i] exp(-rate[i] x[i])."""

    support = "entries of at least 0"

    def __init__(self, data_shape, **kwargs):
        super().__init__(data_shape, **kwargs)
        self._log_rate = self.head("log_rate")

    def call(self, features):
        return {"log_rate": keras.ops.cast(self._log_rate(features), self.maths_dtype)}

    def distribution(self, params):
        rate = tf.exp(params["log_rate"])
        return tfd.Independent(tfd.Exponential(rate), len(self.data_shape))

    def mean(self, params):
        return tf.exp(-params["log_rate"])

    def supports(self, x):
        return (x >= 0) | tf.math.is_nan(x)
