"""A posterior."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.posteriors import Posterior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="throwaway")
class HalfWide(Posterior):
    """q(z|x) = N(loc, 1/4 I)."""

    def __init__(self, latent_dim, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self._loc = self.head("loc", latent_dim)

    def call(self, features):
        loc = self.project(self._loc, features)
        return {"loc": loc, "scale": 0.5 * tf.ones_like(loc)}

    def distribution(self, params):
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def sample(self, params, noise):
        return params["loc"] + params["scale"] * noise
