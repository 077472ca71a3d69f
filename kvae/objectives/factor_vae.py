"""The total correlation, estimated by a discriminator that trains with the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import LossParts, Tensor
from kvae.networks import mlp
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.gradients import stopped
from kvae.objectives.weight import Schedule, Weight
from kvae.objectives.wrapper import Wrapper, normals_beside

_PERMUTATION = 0x7C


@keras.saving.register_keras_serializable(package="kvae")
class FactorVAE(Wrapper):
    """Adds the total correlation of q(z), estimated by a discriminator.

        loss = objective + gamma * mean_x logit(z),  z from q(z|x)

    logit(z) is the discriminator's log-odds that z came from q(z) rather than from the
    product of its marginals. If it is right, the mean is KL(q(z) || prod_d q(z[d])).

    One optimizer trains both in the same step. The discriminator's cross-entropy between
    z and z' (each dimension of z shuffled independently over the batch) trains only the
    discriminator, because z is constant there. The term above trains only the networks,
    because the discriminator is constant there. The cross-entropy enters the loss with
    value zero, so the reported loss is the one above. The metric `discriminator_loss`
    reports it (log 2 = 0.693 for a blind discriminator), and `total_correlation` reports
    the estimate. Unlike in the paper, the shuffled latents come from the same batch, and
    the discriminator has the same learning rate.

    Args:
        objective: the objective to which the term is added; the plain `ELBO` if None.
        gamma: weight of the total correlation, a number or a schedule.
        discriminator: Keras network from (B, D) to features, to which a linear map to
            the log-odds is added. None makes three dense layers of 256 units.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `discriminator` or `objective` has the wrong type.
        ValueError: if `gamma` is out of range.

    Source: Kim, Mnih 2018, FactorVAE, arXiv:1802.05983.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        gamma: float | Schedule = 10.0,
        *,
        discriminator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        if not isinstance(discriminator, (keras.layers.Layer, type(None))):
            raise TypeError(
                "FactorVAE expects discriminator to be a Keras network from (B, D) to "
                f"features, or None; received {discriminator!r}."
            )
        self.discriminator = discriminator
        self._gamma = Weight(self, "gamma", gamma)
        self._network: Any = None

    @property
    def gamma(self) -> Any:
        """The weight of the total correlation: a Keras variable, or its schedule."""
        return self._gamma.current

    @gamma.setter
    def gamma(self, value: float) -> None:
        self._gamma.assign(value)

    def attach(self, model: Any) -> None:
        """Makes the discriminator for the model's number of latent dimensions."""
        super().attach(model)
        if self._network is None:
            body = self.discriminator
            if body is None:
                body = mlp((model.latent_dim,), (256, 256, 256), "leaky_relu")
            self._network = keras.Sequential([body, keras.layers.Dense(1)])
            self._network.build((None, model.latent_dim))

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Adds the total correlation to the data term, (B,) nats."""
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        normals = normals_beside(noise, _PERMUTATION, draw.z, draw.z.shape[-1])
        still = tf.stop_gradient(draw.z)
        with stopped(self._network):
            correlation = tf.reduce_mean(self._logit(draw.z, training), axis=0)
        true = tf.nn.softplus(-self._logit(still, training))
        false = tf.nn.softplus(self._logit(shuffle(still, normals), training))
        loss = tf.reduce_mean(0.5 * (true + false), axis=0)
        gamma = self._gamma.at(model, correlation.dtype)
        return dataclasses.replace(
            parts,
            data_term=parts.data_term
            + gamma * correlation
            + (loss - tf.stop_gradient(loss)),
            metrics={
                **parts.metrics,
                "total_correlation": correlation,
                "discriminator_loss": loss,
                **self._gamma.metrics(model),
            },
        )

    def _logit(self, z: Tensor, training: bool) -> Tensor:
        """Computes the log-odds that latents (K, B, D) come from q(z), (K, B)."""
        flat = tf.reshape(z, (-1, z.shape[-1]))
        logits = tf.cast(self._network(flat, training=training), z.dtype)
        return tf.reshape(logits, tf.shape(z)[:2])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        discriminator = self.discriminator
        if discriminator is not None:
            discriminator = keras.saving.serialize_keras_object(discriminator)
        return {
            **super().get_config(),
            "gamma": self._gamma.config(),
            "discriminator": discriminator,
        }


def shuffle(z: Tensor, normals: Tensor) -> Tensor:
    """Shuffles each dimension independently over the batch: draws from prod_d q(z[d]).

    Args:
        z: (K, B, D) latents.
        normals: (K, B, D) independent N(0, 1), whose order is the permutation.

    Returns:
        z: (K, B, D), each z[k, :, d] in another order.
    """
    order = tf.transpose(tf.argsort(normals, axis=1), (0, 2, 1))
    columns = tf.transpose(z, (0, 2, 1))
    return tf.transpose(tf.gather(columns, order, batch_dims=2), (0, 2, 1))
