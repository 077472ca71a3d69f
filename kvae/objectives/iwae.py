"""The importance-weighted bound."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_size, is_number
from kvae.core.inputs import Inputs
from kvae.core.types import LossParts, Params, Sampler, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.gradients import scale_gradient, stopped

_GRADIENTS = ("plain", "stl", "dreg")


@keras.saving.register_keras_serializable(package="kvae")
class IWAE(Objective):
    """Maximizes the importance-weighted bound on log p(x).

        w[k]  = p(x|z[k]) p(z[k]) / q(z[k]|x),  z[k] from q(z|x)
        bound = log( mean_k w[k] )
        loss  = -(1 - elbo_weight) * mean_m bound[m] - elbo_weight * mean_mk log w[m, k]

    With `groups` M = 1 and `elbo_weight` 0 this is IWAE. M > 1 is MIWAE, and
    `elbo_weight` > 0 is CIWAE. `rate` and `distortion` are those of the plain ELBO, from
    the same latents. The metric `iwae_bound` reports the bound.

    The gradient of decoder and prior is always the plain one. "stl" and "dreg" change
    that of q(z|x): log q is evaluated with a constant posterior, so only the path through
    z remains. They need `posterior.log_prob` at any z. An inverse autoregressive flow
    inverts itself for this, with one pass per latent dimension. "stl" is unbiased for
    K = 1 and biased for K > 1 (shown in the DReG paper). "dreg" multiplies the gradient of
    the path by the normalized weight once more. This is unbiased for any K, and its
    signal-to-noise ratio does not fall with K.

    Args:
        num_samples: K, latents in one bound.
        gradient: "plain", "stl" (sticking the landing), or "dreg" (doubly
            reparameterized).
        groups: M, independent bounds of K latents each that are averaged.
        elbo_weight: in [0, 1], the part of the ELBO in the mixture.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is out of range.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519; "stl": Roeder, Wu,
        Duvenaud 2017, arXiv:1703.09194; "dreg": Tucker et al. 2019, arXiv:1810.04152;
        MIWAE, CIWAE: Rainforth et al. 2018, arXiv:1802.04537 (not the imputation
        method that is also called MIWAE, arXiv:1812.02633).
    """

    def __init__(
        self,
        num_samples: int = 5,
        gradient: str = "plain",
        *,
        groups: int = 1,
        elbo_weight: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_samples", num_samples), ("groups", groups)):
            check_size(name, value)
        if gradient not in _GRADIENTS:
            raise ValueError(
                f"IWAE expects gradient to be one of {_GRADIENTS}; received {gradient!r}."
            )
        if not (is_number(elbo_weight) and 0 <= elbo_weight <= 1):
            raise ValueError(
                f"IWAE expects elbo_weight in [0, 1]; received {elbo_weight!r}."
            )
        self.num_samples = num_samples
        self.gradient = gradient
        self.groups = groups
        self.elbo_weight = elbo_weight

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the bound of each example, (B,) nats, as the data term."""
        log_weights: list[Tensor] = []  # filled below, read in the backward pass
        sampler = None
        latents: list[Tensor] = []  # before their gradient is changed
        if self.gradient != "plain":
            sampler = self._sampler(model, log_weights, latents)
        total = self.groups * self.num_samples
        draw = model.draw(inputs, noise, total, training, sampler)
        log_weights.append(draw.log_likelihood + draw.log_prior - draw.log_posterior)
        if latents:  # a term that a wrapper adds at the latents isn't part of the bound
            draw = dataclasses.replace(draw, z=latents[0])
        bound = self._bound(log_weights[0])
        return LossParts(
            distortion=-tf.reduce_mean(draw.log_likelihood, axis=0),
            rate=self.rate(model, draw),
            data_term=-bound,
            kl_term=tf.zeros_like(bound),
            posterior_mean=model.posterior.active_means(draw),
            metrics={"iwae_bound": bound},
            draw=draw,
        )

    def _bound(self, log_weights: Tensor) -> Tensor:
        """Computes the bound: log-weights (M * K, B) give (B,) nats."""
        grouped = self._grouped(log_weights)
        each = tf.reduce_logsumexp(grouped, axis=1) - math.log(self.num_samples)
        bound = tf.reduce_mean(each, axis=0)
        if self.elbo_weight:
            elbo = tf.reduce_mean(log_weights, axis=0)
            bound = (1 - self.elbo_weight) * bound + self.elbo_weight * elbo
        return bound

    def _grouped(self, log_weights: Tensor) -> Tensor:
        """Reshapes (M * K, B) to (M, K, B)."""
        return tf.reshape(
            log_weights, (self.groups, self.num_samples, tf.shape(log_weights)[1])
        )

    def _sampler(
        self, model: Any, log_weights: list[Tensor], latents: list[Tensor]
    ) -> Sampler:
        """Makes latents whose log q has a gradient only through the latents."""
        posterior = model.posterior

        def factor() -> Tensor:
            # The gradient at z is d bound / d log w. This turns it into that of DReG, the
            # squared normalized weight, and leaves the share of the ELBO unchanged.
            weight = tf.nn.softmax(self._grouped(log_weights[0]), axis=1)
            share = self.elbo_weight / self.num_samples
            plain = share + (1 - self.elbo_weight) * weight
            dreg = share + (1 - self.elbo_weight) * tf.square(weight)
            return tf.reshape(
                tf.math.divide_no_nan(dreg, plain), tf.shape(log_weights[0])
            )

        def sample(params: Params, base: Tensor) -> tuple[Tensor, Tensor]:
            z = posterior.sample(params, base)
            latents.append(z)
            if self.gradient == "dreg":
                z = scale_gradient(z, factor)
            still = {name: tf.stop_gradient(value) for name, value in params.items()}
            with stopped(model):  # q may use weights of other parts, as TopDown does
                return z, posterior.log_prob(still, z)

        return sample

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_samples": self.num_samples,
            "gradient": self.gradient,
            "groups": self.groups,
            "elbo_weight": self.elbo_weight,
        }
