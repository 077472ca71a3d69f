"""Presets with more than one stochastic layer."""

from __future__ import annotations

from typing import Any

import keras

from kvae import posteriors, priors
from kvae.defaults import choose_parts
from kvae.networks import TakeFirst
from kvae.objectives import ELBO
from kvae.schedules import LinearWarmup
from kvae.vae import VAE


def ladder_vae(
    x: Any,
    latent_dim: int = 16,
    top_dim: int = 8,
    warmup_steps: int = 2000,
    **parts: Any,
) -> VAE:
    """Makes a VAE with two stochastic layers, inferred from the top down.

    The decoder, also one that is given, maps the `latent_dim` latents of the lower layer.
    The KL weight rises from 0 to 1 over `warmup_steps`, as in the paper: without it the
    upper layer tends to stay unused for good.

    Source: Sonderby et al. 2016, arXiv:1602.02282.
    """
    levels = (latent_dim, top_dim)
    decoder = parts.pop("decoder", None) or choose_parts(x, latent_dim, {})["decoder"]
    lower = keras.Sequential(
        [keras.Input((sum(levels),), name="z"), TakeFirst(latent_dim), decoder]
    )
    deep = {
        "decoder": lower,
        "posterior": posteriors.TopDown(levels),
        "prior": priors.Hierarchical(levels),
        "objective": ELBO(LinearWarmup(warmup_steps), kl="sampled"),
    }
    return VAE.for_data(x, sum(levels), **{**deep, **parts})
