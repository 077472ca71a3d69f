"""The encodings of a data set, as arrays for statistics of latents."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.batches import map_batches
from kvae.core.checks import check_seed
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.evaluation.examples import check_positions, prepare
from kvae.noise import counter_normal

tfd = tfp.distributions

_BATCH = 256


@dataclasses.dataclass(frozen=True)
class Encodings:
    """q(z|x) of N examples, with one latent drawn from each.

    Attributes:
        params: parameters of q(z|x) by name, each (N, ...).
        mean: (N, D) posterior means.
        z: (N, D) one draw per example.
        log_posterior: (N,) log q(z_i|x_i), nats.
        log_prior: (N,) log p(z_i), or log p(z_i|c_i), nats.
    """

    params: dict[str, np.ndarray]
    mean: np.ndarray
    z: np.ndarray
    log_posterior: np.ndarray
    log_prior: np.ndarray


def encodings(vae: Any, x: Any, seed: int = 0, positions: Any = None) -> Encodings:
    """Encodes a data set and draws one latent per example.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        seed: of the draws; draw i depends on the seed and position i alone.
        positions: (N,) integers instead of 0 .. N-1.

    Returns:
        encodings: numpy arrays.
    """
    inputs = prepare(vae, x)
    places = check_positions(positions, len(inputs.x))
    key = tf.constant([check_seed(seed), 0xC0DE], tf.int32)
    run = vae.compiled_functions.get(functools.partial(_encode, vae))

    def batch(arrays: dict[str, Tensor], first: Tensor) -> Any:
        here = places[int(first) : int(first) + len(arrays["x"])]
        return run(arrays, tf.constant(here), key)

    return Encodings(**map_batches(batch, inputs, _BATCH))


def _encode(
    vae: Any, arrays: dict[str, Tensor], places: Tensor, key: Tensor
) -> dict[str, Any]:
    inputs = Inputs(**arrays)
    params = vae.posterior_params(inputs)
    base = counter_normal(
        key, places, 1, vae.posterior.noise_dim, dtype=vae.maths_dtype
    )
    z, log_posterior = vae.posterior.sample_and_log_prob(params, base)
    prior = vae.prior(inputs.condition)
    return {
        "params": params,
        "mean": vae.posterior.mean(params),
        "z": z[0],
        "log_posterior": log_posterior[0],
        "log_prior": vae.prior.log_prob(prior, z)[0],
    }


def marginals(distribution: Any) -> Callable[[Tensor], Tensor] | None:
    """Finds the log-density of each dimension of a distribution over z, if it is known.

    Args:
        distribution: batch (B,) or (), event (D,).

    Returns:
        log_prob: maps z of (..., 1, D) to (..., B, D) nats; None if the densities of
            single dimensions are not known in closed form.
    """
    if isinstance(distribution, tfd.Independent):
        inner = distribution.distribution
        if len(inner.event_shape) == 0:
            return lambda z: inner.log_prob(z)
    if isinstance(distribution, tfd.MultivariateNormalLinearOperator):
        normal = tfd.Normal(distribution.mean(), distribution.stddev())
        return lambda z: normal.log_prob(z)
    return None


def is_factorized(distribution: Any) -> bool:
    """Says whether the dimensions of a distribution over z are independent."""
    if isinstance(distribution, tfd.MultivariateNormalDiag):
        return True
    return (
        isinstance(distribution, tfd.Independent)
        and len(distribution.distribution.event_shape) == 0
    )
