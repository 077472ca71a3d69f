"""Where an example is unusual, by latents that its unusual entries can't pull along."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.attribution import of_entries
from kvae.evaluation.local_posterior import climb

NUM_STEPS = 40
_RATE = 0.05  # of Adam at the start, in units of the latents
_MARGIN = 2.0  # nats above usual from which on an entry doesn't pull


def check_attribution(vae: Any, attribution: Any) -> str:
    """Returns how to attribute, or raises ValueError."""
    if attribution not in ("posterior", "robust"):
        raise ValueError(
            f'attribution must be "posterior" or "robust"; received {attribution!r}.'
        )
    if attribution == "robust" and vae.prior.space != "R^D":
        raise ValueError(
            'attribution="robust" moves latents freely, but those of this model are on '
            f'{vae.prior.space}. Use attribution="posterior".'
        )
    return str(attribution)


def robust_entry_surprise(
    vae: Any, x: Any, usual: np.ndarray, batch_size: int = 128
) -> np.ndarray:
    """Computes how improbable each entry is at a latent that fits the usual ones.

        z = argmax_z  log p(z) + sum_i max(log p(x_i|z), -(usual_i + 2))
        surprise_i = -log p(x_i|z)

    The encoder sees the whole example, so a fault pulls its latents along, and the model
    reconstructs part of the fault. Here, an entry that is more than 2 nats less probable
    than usual has a constant term, which doesn't pull. Adam starts from the mean of
    q(z|x) and takes 40 steps, which cost about 120 passes of the decoder.

    Args:
        vae: a trained `kvae.VAE` whose latents are in R^D.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        usual: (*data_shape) mean surprise of each entry over normal examples, nats.
        batch_size: examples per pass; does not change the result.

    Returns:
        surprise: (N, *data_shape) nats, 0 where an entry is missing, infinity where it is
            outside the support.
    """
    most = tf.constant(usual + _MARGIN, vae.maths_dtype)
    return np.asarray(vae.map_arrays(_surprise, x, batch_size, most))


def _surprise(
    model: Any, batch: dict[str, Tensor], first: Tensor, most: Tensor
) -> Tensor:
    del first
    inputs = Inputs(**batch)
    prior = model.prior(inputs.condition)
    start = model.posterior.mean(model.posterior_params(inputs))

    def nats(z: Tensor) -> Tensor:
        params = model.likelihood_params(z, inputs.condition)
        return of_entries(
            model, inputs, lambda x: -model.likelihood.entry_log_prob(params, x)
        )

    def bound(values: list[Tensor], step: Tensor) -> Tensor:
        del step  # nothing is drawn
        z = start + values[0]
        entries = tf.minimum(nats(z), most)
        kept = tf.reduce_sum(entries, axis=list(range(1, len(entries.shape))))
        return model.prior.log_prob(prior, z[None])[0] - kept

    best, _ = climb(bound, [tf.zeros_like(start)], NUM_STEPS, _RATE)
    return nats(start + best[0])
