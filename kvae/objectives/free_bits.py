"""Free bits: a rate below the floor costs nothing extra."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import is_number
from kvae.core.inputs import Inputs
from kvae.core.types import Draw, LossParts, Tensor
from kvae.noise import Noise
from kvae.objectives.elbo import ELBO
from kvae.objectives.wrapper import Wrapper, weighted_mean

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class FreeBits(Wrapper):
    """Gives each latent dimension a rate that it can use for free.

        loss = distortion + beta * sum_d max(floor, mean_x KL(q(z[d]|x) || p(z[d])))

    The mean is over the batch (of one replica), weighted by `sample_weight`. It is inside
    the maximum, so a dimension counts as a whole. Below the floor the rate has no
    gradient, so a dimension is not switched off before the decoder can use it.

    Args:
        objective: an `ELBO`, whose beta and way to compute the KL are used.
        floor: free nats, at least 0, for each dimension or level, or for all together.
        group: "dimension" has a floor for each dimension, and needs a posterior and a
            prior whose dimensions are independent. "level" has a floor for each level,
            and needs a posterior with levels, such as `TopDownMaps`. "total" has one
            floor for the rate.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `objective` is not an ELBO.
        ValueError: if `floor` or `group` is out of range.

    Source: Kingma et al. 2016, "Improving variational inference with inverse
        autoregressive flow", arXiv:1606.04934, where the floor is called lambda.
    """

    def __init__(
        self,
        objective: ELBO | None = None,
        floor: float = 0.25,
        *,
        group: str = "dimension",
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        check_elbo(self)
        if not (is_number(floor) and floor >= 0):
            raise ValueError(
                f"FreeBits expects a finite floor >= 0, in nats; received {floor!r}."
            )
        if group not in ("dimension", "level", "total"):
            raise ValueError(
                'FreeBits expects group to be "dimension", "level", or "total"; received '
                f"{group!r}."
            )
        self.floor = floor
        self.group = group

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the ELBO's terms, with the floored rate as the KL term."""
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        rates = parts.rate[:, None]
        if self.group == "dimension":
            rates = self._rate_per_dimension(model, draw)
        elif self.group == "level":
            rates = rate_per_level(self, model, draw)
        floored = tf.maximum(
            weighted_mean(rates, inputs.sample_weight),
            tf.constant(self.floor, rates.dtype),
        )
        cost = self.objective.weighted(model, tf.reduce_sum(floored))
        return dataclasses.replace(
            parts,
            kl_term=cost * tf.ones_like(parts.rate),
            metrics={**parts.metrics, "priced_rate": tf.reduce_sum(floored)},
        )

    def _rate_per_dimension(self, model: Any, draw: Draw) -> Tensor:
        """Computes KL(q(z[d]|x) || p(z[d])), (B, D) nats, as the wrapped ELBO does."""
        posterior = model.posterior.distribution(draw.posterior)
        prior = model.prior.distribution(draw.prior)
        for part, distribution in ((model.posterior, posterior), (model.prior, prior)):
            if not isinstance(distribution, tfd.Independent):
                raise ValueError(
                    'FreeBits(group="dimension") needs a density that is a product over '
                    f"latent dimensions. {type(part).__name__} isn't. Use "
                    'FreeBits(group="total"), which has one floor for the whole rate.'
                )
        if self.objective.kl != "sampled":
            return tfd.kl_divergence(posterior.distribution, prior.distribution)
        ratio = posterior.distribution.log_prob(draw.z)
        ratio -= prior.distribution.log_prob(draw.z)
        return tf.reduce_mean(ratio, axis=0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "floor": self.floor, "group": self.group}


def rate_per_level(wrapper: Wrapper, model: Any, draw: Draw) -> Tensor:
    """Computes the rate of each level, (B, L) nats, averaged over the drawn latents.

    Raises:
        ValueError: if the posterior has no levels.
    """
    rates = model.posterior.level_rates(draw)
    if rates is None:
        raise ValueError(
            f"{type(wrapper).__name__} over levels needs a posterior with levels, such as "
            f"TopDownMaps; {type(model.posterior).__name__} has none."
        )
    return tf.reduce_mean(rates, axis=0)


def check_elbo(wrapper: Wrapper) -> None:
    """Raises unless a wrapper that changes the cost of the rate wraps an ELBO."""
    if not isinstance(wrapper.objective, ELBO):
        name = type(wrapper).__name__
        raise TypeError(
            f"{name} changes the rate term of an ELBO; received "
            f"{type(wrapper.objective).__name__}. Wrap kvae.objectives.ELBO(...), and put "
            f"other wrappers outside, for example MMD({name}(ELBO()))."
        )
