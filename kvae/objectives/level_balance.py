"""A balance of the rates of levels early in training."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs
from kvae.core.types import LossParts
from kvae.noise import Noise
from kvae.objectives.elbo import ELBO
from kvae.objectives.free_bits import check_elbo, rate_per_level
from kvae.objectives.wrapper import Wrapper, weighted_mean


@keras.saving.register_keras_serializable(package="kvae")
class LevelBalance(Wrapper):
    """Makes the rate of unused levels cheap during the first steps.

        loss = distortion + beta * sum_l gamma[l] R[l]
        gamma[l] = L r[l] / sum r,   r[l] = mean_x R[l] / D[l]

    R[l] is the rate of level l and D[l] the number of its latents. A level with a low rate
    per latent costs less than 1 nat per nat, and so is encouraged to carry more; all gammas
    together are as if each were 1. They have no gradient. After `steps` steps, and in
    evaluation, each is 1 and the loss that of the objective that is wrapped.

    Args:
        objective: an `ELBO`, whose beta is used.
        steps: training steps with the balance.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `objective` is not an ELBO.
        ValueError: if `steps` is not a count, or the posterior has no levels.

    Source: Vahdat, Kautz 2020, arXiv:2007.03898, appendix A, with the size of a level in
        the denominator as in Vahdat et al. 2018, arXiv:1802.04920, appendix H.
    """

    def __init__(
        self, objective: ELBO | None = None, steps: int = 2000, **kwargs: Any
    ) -> None:
        super().__init__(objective, **kwargs)
        check_elbo(self)
        self.steps = check_count("steps", steps, 0)

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the ELBO's terms, with the balanced rate as the KL term."""
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        rates = rate_per_level(self, model, draw)  # in evaluation too, for its errors
        if not training:
            return parts
        dims = tf.constant(model.posterior.maps.dims, rates.dtype)
        density = tf.stop_gradient(weighted_mean(rates, inputs.sample_weight)) / dims
        # Before anything is encoded all rates may be 0: then the balance is even.
        density += 1e-6
        gamma = len(model.posterior.maps.dims) * density / tf.reduce_sum(density)
        balanced = tf.cast(model.step.value, tf.int64) < self.steps
        gamma = tf.where(balanced, gamma, tf.ones_like(gamma))
        cost = self.objective.weighted(model, tf.reduce_sum(gamma * rates, axis=-1))
        return dataclasses.replace(parts, kl_term=cost)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "steps": self.steps}
