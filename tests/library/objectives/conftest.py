"""A linear-Gaussian model, whose log p(x) is known in closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import kvae
from kvae.noise import Noise

DATA_DIM, LATENT_DIM, SCALE = 4, 2, 0.7


class LinearGaussian:
    """p(z) = N(0, I), p(x|z) = N(A z + b, SCALE^2 I), and a q(z|x) that is not exact."""

    def __init__(self, objective=None, posterior=None):
        keras.utils.set_random_seed(3)
        # Keras gives an Input the dtype floatx, whatever the policy: float32 here.
        x = keras.Input((DATA_DIM,), name="x", dtype="float64")
        z = keras.Input((LATENT_DIM,), name="z", dtype="float64")
        self.vae = kvae.VAE(
            encoder=keras.Model(x, keras.layers.Dense(3)(x)),
            decoder=keras.Model(z, keras.layers.Dense(5)(z)),
            posterior=posterior or kvae.posteriors.DiagonalNormal(LATENT_DIM),
            likelihood=kvae.likelihoods.Normal((DATA_DIM,), scale=SCALE),
            objective=objective,
            seed=0,
        )
        self.vae.build((None, DATA_DIM))
        rng = np.random.default_rng(5)
        for variable in self.vae.decoder.trainable_variables:
            variable.assign(rng.normal(size=variable.shape) * 0.6)
        for variable in self.vae.posterior.trainable_variables:
            variable.assign(rng.normal(size=variable.shape) * 0.3)

    def log_evidence(self, x):
        """The exact log p(x), nats, from the decoder's affine map."""
        points = np.concatenate([np.zeros((1, LATENT_DIM)), np.eye(LATENT_DIM)])
        means = self.vae.likelihood.mean(
            self.vae.likelihood_params(tf.constant(points))
        ).numpy()
        shift, matrix = means[0], (means[1:] - means[0]).T
        covariance = matrix @ matrix.T + SCALE**2 * np.eye(DATA_DIM)
        return stats.multivariate_normal(shift, covariance).logpdf(x)

    def parts(self, objective, x, seed=0, sample_weight=None):
        """The loss parts of an objective at given noise."""
        inputs = kvae.core.inputs.Inputs(tf.constant(x), sample_weight=sample_weight)
        noise = Noise(tf.constant([seed, 0], tf.int32))
        return objective.parts(self.vae, inputs, noise, training=True)

    @property
    def encoder_variables(self):
        return self.vae.encoder.trainable_variables + (
            self.vae.posterior.trainable_variables
        )

    @property
    def decoder_variables(self):
        return self.vae.decoder.trainable_variables + (
            self.vae.likelihood.trainable_variables
        )


@pytest.fixture
def float64():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(policy)


@pytest.fixture
def linear_gaussian(float64):
    return LinearGaussian()


@pytest.fixture
def linear_gaussian_flow(float64):
    """The same with an inverse autoregressive flow, whose weights are part of q."""
    posterior = kvae.posteriors.InverseAutoregressiveFlow(
        LATENT_DIM, num_steps=1, units=(4,), context_dim=2
    )
    return LinearGaussian(kvae.objectives.ELBO(kl="sampled"), posterior)


@pytest.fixture
def x():
    return np.random.default_rng(1).normal(size=(6, DATA_DIM))


@pytest.fixture
def binary():
    return np.random.default_rng(0).integers(0, 2, (48, 6)).astype("float32")


@pytest.fixture
def small_vae(binary):
    """Makes a small model on binary vectors for an objective, compiled."""

    def make(objective, **compile_arguments):
        keras.utils.set_random_seed(2)
        vae = kvae.VAE.for_data(
            binary,
            latent_dim=2,
            seed=1,
            encoder=kvae.networks.mlp((6,), (8,)),
            decoder=kvae.networks.mlp((2,), (8,), role="decoder"),
            objective=objective,
        )
        vae.compile(keras.optimizers.Adam(1e-2), **compile_arguments)
        return vae

    return make
