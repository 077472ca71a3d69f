"""Presets with more than one stochastic layer."""

from __future__ import annotations

from typing import Any

import keras

from kvae import posteriors, priors
from kvae.core.checks import check_size
from kvae.model.defaults import choose_parts
from kvae.model.vae import VAE
from kvae.networks import TakeFirst
from kvae.networks.call import declared_inputs
from kvae.objectives import ELBO
from kvae.schedules import LinearWarmup


def ladder_vae(
    x: Any,
    latent_dim: int = 16,
    *,
    top_dim: int = 8,
    warmup_steps: int = 2000,
    **parts: Any,
) -> VAE:
    """Builds a ladder VAE (two stochastic layers, inferred from the top down).

    The decoder, also one that you pass, maps the `latent_dim` latents of the lower layer.
    The KL weight rises from 0 to 1 over `warmup_steps`, as in the paper. Without this,
    the upper layer often remains unused forever.

    Source: Sonderby et al. 2016, arXiv:1602.02282.
    """
    levels = (latent_dim, check_size("top_dim", top_dim))
    decoder = parts.pop("decoder", None)
    if decoder is None:
        given: dict[str, Any] = {
            name: parts[name] for name in ("encoder", "likelihood") if name in parts
        }
        condition, kind = parts.get("condition"), parts.get("data_kind")
        choice = choose_parts(x, latent_dim, given, condition, data_kind=kind)
        decoder = choice.parts["decoder"]
    z = keras.Input((sum(levels),), name="z")
    first = TakeFirst(latent_dim)(z)
    if "condition" in (declared_inputs(decoder) or ()):
        taken = decoder.input["condition"]
        c = keras.Input(taken.shape[1:], dtype=taken.dtype, name="condition")
        inputs: Any = {"z": z, "condition": c}
        features = decoder({"z": first, "condition": c})
    else:
        inputs, features = z, decoder(first)
    lower = keras.Model(inputs, features, name="decoder")
    deep = {
        "decoder": lower,
        "posterior": posteriors.TopDown(levels),
        "prior": priors.Hierarchical(levels),
        "objective": ELBO(LinearWarmup(warmup_steps), kl="sampled"),
    }
    return VAE.for_data(x, sum(levels), **{**deep, **parts})
