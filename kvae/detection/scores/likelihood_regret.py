"""The likelihood regret."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from kvae.core.checks import check_count, is_number
from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.detection.scores.base import Score, shared_noise
from kvae.evaluation.local_posterior import climb, free_values, place_values

_TEST = 0x7E57  # the bounds are compared on noise that the optimization has not seen


class LikelihoodRegret(Score):
    """How much the ELBO rises if q is fitted to the example alone, in nats.

        score = max_q ELBO(x; q) - ELBO(x; q(z|x))

    The encoder is a good guess for data like those it was trained on, and a bad one
    elsewhere, however likely the model finds the example. q is optimized within the
    posterior's family with Adam, from the encoder's parameters, for all examples of a
    batch at once. One example costs about `3 * num_steps` passes of the decoder.

    Args:
        num_steps: of Adam.
        learning_rate: at the start; it falls to 0 along a half cosine.
        num_samples: latents that the two bounds are compared with.

    Source: Xiao, Yan, Amit 2020, arXiv:2003.02977, eq. 7; they optimize the encoder's
        weights, here the parameters of q are optimized themselves.
    """

    name = "likelihood_regret"
    unit = "nats"

    def __init__(
        self, num_steps: int = 100, learning_rate: float = 0.05, num_samples: int = 16
    ) -> None:
        super().__init__()
        self.num_steps = check_count("num_steps", num_steps)
        self.num_samples = check_count("num_samples", num_samples)
        if not (is_number(learning_rate) and learning_rate > 0):
            raise ValueError(
                f"learning_rate must be positive; received {learning_rate!r}."
            )
        self.learning_rate = float(learning_rate)

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the regret, (B,) nats."""
        del fitted
        start = model.posterior_params(inputs)
        prior = model.prior(inputs.condition)
        batch = tf.shape(inputs.x)[0]

        def bound(params: Params, noise: Tensor) -> Tensor:
            z, log_posterior = model.posterior.sample_and_log_prob(params, noise)
            draw = model.weigh(inputs, params, z, log_posterior, prior=prior)
            rate = model.objective.rate(model, draw)
            return tf.reduce_mean(draw.log_likelihood, axis=0) - rate

        def at(values: list[Tensor]) -> Params:
            return place_values(values, start, model.latent_dim)

        best, _ = climb(
            lambda values, i: bound(
                at(values), shared_noise(model, key, 1, batch, first=i)
            ),
            free_values(start),
            self.num_steps,
            self.learning_rate,
        )
        test = shared_noise(model, key + [0, _TEST], self.num_samples, batch)
        regret = bound(at(best), test) - bound(start, test)
        # An impossible example has -inf on both sides: it is as unusual as can be.
        impossible = tf.math.is_nan(regret)
        return tf.where(impossible, tf.constant(math.inf, regret.dtype), regret)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "num_steps": self.num_steps,
            "learning_rate": self.learning_rate,
            "num_samples": self.num_samples,
        }
