"""A prior that starts from the data."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.priors import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="throwaway")
class DataWide(Prior):
    """p(z) = N(0, s^2 I), where s starts at the spread of the data."""

    def __init__(self, latent_dim, **kwargs):
        super().__init__(latent_dim, **kwargs)
        self.s = self.add_weight(name="s", shape=(), initializer="ones", autocast=False)
        self.built = True

    def adapt(self, x, seed=0):
        self.s.assign(x.std())

    def call(self, condition=None):
        return {"scale": self.s * tf.ones(self.latent_dim, self.maths_dtype)}

    def distribution(self, params):
        normal = tfd.Normal(tf.zeros_like(params["scale"]), params["scale"])
        return tfd.Independent(normal, 1)

    def sample(self, params, noise, temperature=1.0):
        return temperature * params["scale"] * noise
