"""Where an example is unusual: the surprise of each entry, given the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_seed
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import draw_latents, log_mean_exp

NUM_SAMPLES = 16
"""Latents per example that a detector takes."""


def entry_surprise(
    vae: Any,
    x: Any,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
    batch_size: int = 128,
) -> np.ndarray:
    """Computes how improbable each entry is given the others, in nats.

        surprise_i = -log p(x_i | rest) = log E_{z ~ p(z|x)}[ 1 / p(x_i|z) ]

    The identity is exact; here z comes from q(z|x). Entries with a density have the nats
    of their unit, which `Detector` removes by subtracting what is usual for the entry.

    Args:
        vae: a trained `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        num_samples: K, latents per example.
        seed: of the latents, which all examples share.
        batch_size: examples per pass; does not change the result.

    Returns:
        surprise: (N, *data_shape) nats, 0 where an entry is missing, infinity where it is
            outside the support.

    Raises:
        ValueError: if x does not fit the model.

    Source: Gelfand, Dey 1994, "Bayesian model choice: asymptotics and exact
        calculations", eq. 2 (the conditional predictive ordinate).
    """
    key = tf.constant([check_seed(seed), 0], tf.int32)
    num_samples = check_count("num_samples", num_samples)
    return np.asarray(vae.map_arrays(_surprise, x, batch_size, key, num_samples))


def _surprise(
    model: Any, batch: dict[str, Tensor], first: Tensor, key: Tensor, num_samples: int
) -> Tensor:
    del first
    return surprise(model, Inputs(**batch), key, num_samples)


def surprise(model: Any, inputs: Inputs, key: Tensor, num_samples: int) -> Tensor:
    """Computes the surprise of the entries of one batch, (B, *data_shape) nats."""
    draw = draw_latents(model, inputs, key, num_samples)
    return of_entries(
        model,
        inputs,
        lambda x: log_mean_exp(-model.likelihood.entry_log_prob(draw.likelihood, x)),
    )


def of_entries(
    model: Any, inputs: Inputs, nats_of: Callable[[Tensor], Tensor]
) -> Tensor:
    """Computes nats of the observed entries of one batch.

    Args:
        model: a `kvae.VAE`.
        inputs: one batch.
        nats_of: a function of (B, *data_shape) entries, all of them in the support.

    Returns:
        nats: (B, *data_shape), 0 where an entry is missing, infinity where it is outside
            the support.
    """
    likelihood = model.likelihood
    x = tf.cast(inputs.x, model.maths_dtype)
    observed = tf.ones_like(x, tf.bool)
    if inputs.mask is not None:
        observed = tf.cast(inputs.mask, tf.bool)
    inside = likelihood.supports(x)
    safe = tf.where(observed & inside, x, tf.constant(likelihood.filler, x.dtype))
    nats = tf.where(inside, nats_of(safe), tf.constant(np.inf, x.dtype))
    return tf.where(observed, nats, tf.zeros_like(nats))
