"""Latents that may explain the visible part, with their importance weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.masks import visible_part
from kvae.maths import normal_cdf
from kvae.noise import Noise
from kvae.objectives import is_completing

PRIOR_SHARE = 0.25
"""The fraction of candidates that comes from the prior. If an encoder never saw a masked
example, q(z | visible) can be confidently wrong. With these candidates no weight exceeds
p(x_visible | z) / PRIOR_SHARE."""

_PRIOR_TAG = 2


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Latents that may explain what is visible in one batch.

    Attributes:
        z: (K, B, D).
        log_weights: (K, B) nats, normalized over K.
        likelihood: parameters of p(x|z), each (K, B, ...).
        condition: the condition of the decoder, (B, ...) or None.
        log_visible: (B,) nats, an estimate of log p(x_visible), or None if the model
            has no such density.
    """

    z: Tensor
    log_weights: Tensor
    likelihood: Params
    condition: Tensor | None
    log_visible: Tensor | None = None

    @property
    def effective_sample_size(self) -> Tensor:
        """Returns the effective sample size (B,), from 1 to K."""
        return tf.exp(-tf.reduce_logsumexp(2.0 * self.log_weights, axis=0))


def candidates(model: Any, inputs: Inputs, noise: Noise, num: int) -> Candidates:
    """Draws latents given the visible part of each example, with weights.

    Args:
        model: a `kvae.VAE`.
        inputs: one batch with a mask, 1 where visible.
        noise: the noise of this pass.
        num: K.

    Returns:
        candidates: a weighted sample that represents p(z | visible).
    """
    if not is_completing(model):
        return _weighted(model, inputs, noise, num)
    batch = tf.shape(inputs.x)[0]
    x = tf.cast(inputs.x, model.maths_dtype)
    condition = visible_part(x, inputs.mask)
    base = noise.normal(num, batch, model.prior.noise_dim, model.maths_dtype)
    z = model.prior.sample(model.prior(condition), base)
    params = model.likelihood_params(z, condition)
    weights = tf.fill((num, batch), tf.constant(-np.log(num), z.dtype))
    return Candidates(z, weights, params, condition)


def _weighted(model: Any, inputs: Inputs, noise: Noise, num: int) -> Candidates:
    """Draws from q(z | visible) and the prior, weighted by the mixture of both."""
    batch, dtype = tf.shape(inputs.x)[0], model.maths_dtype
    from_prior = int(PRIOR_SHARE * num)
    from_posterior = num - from_prior
    posterior = model.posterior_params(inputs)
    prior = model.prior(inputs.condition)
    base = noise.normal(from_posterior, batch, model.posterior.noise_dim, dtype)
    z, log_posterior = model.posterior.sample_and_log_prob(posterior, base)
    if from_prior:
        noise = noise.fold(_PRIOR_TAG)
        base = noise.normal(from_prior, batch, model.prior.noise_dim, dtype)
        more = model.prior.sample(prior, base)
        log_more = model.posterior.log_prob(posterior, more)
        z = tf.concat([z, more], axis=0)
        log_posterior = tf.concat([log_posterior, log_more], axis=0)
    draw = model.weigh(inputs, posterior, z, log_posterior, prior=prior)
    proposal = draw.log_posterior + np.log(from_posterior / num)
    if from_prior:
        other = draw.log_prior + np.log(from_prior / num)
        proposal = tf.reduce_logsumexp(tf.stack([proposal, other]), axis=0)
    weights = draw.log_likelihood + draw.log_prior - proposal
    total = tf.reduce_logsumexp(weights, axis=0)
    log_visible = total - np.log(num)
    return Candidates(
        z, weights - total, draw.likelihood, inputs.condition, log_visible
    )


def resample(log_weights: Tensor, noise: Noise, num: int) -> Tensor:
    """Chooses candidates at random, with their weights as probabilities.

    Args:
        log_weights: (K, B) nats, normalized over K.
        noise: the noise of this pass.
        num: how many to choose, independently of one another.

    Returns:
        index: (num, B) int32 in 0 ... K - 1.
    """
    batch, dtype = tf.shape(log_weights)[1], log_weights.dtype.name
    uniform = normal_cdf(noise.normal(num, batch, 1, dtype))[..., 0]
    edges = tf.cumsum(tf.exp(log_weights), axis=0)[:-1]
    passed = edges[:, None] <= uniform  # (K - 1, num, B)
    return tf.reduce_sum(tf.cast(passed, tf.int32), axis=0)


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Picks candidates: values (K, B, ...) at an index (num, B) give (num, B, ...)."""
    others = list(range(2, len(values.shape)))
    by_example = tf.transpose(values, [1, 0, *others])
    taken = tf.gather(by_example, tf.transpose(index), batch_dims=1)
    return tf.transpose(taken, [1, 0, *others])


def fill_hidden(model: Any, params: Params, seed: Tensor | None) -> Tensor:
    """Computes x from p(x|z): parameters (num, B, ...) give (num, B, *data_shape).

    Args:
        model: a `kvae.VAE`.
        params: of the likelihood.
        seed: (2,) int32 of a draw, or None for the mean.
    """
    lead = tf.shape(next(iter(params.values())))[:2]
    flat = {
        name: tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], axis=0))
        for name, value in params.items()
    }
    likelihood = model.likelihood
    if seed is None:
        x = likelihood.mean(flat)
    else:
        x = likelihood.distribution(flat).sample(seed=seed)
    x = tf.cast(x, model.maths_dtype)
    return tf.reshape(x, tf.concat([lead, model.data_shape], axis=0))
