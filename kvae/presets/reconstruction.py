"""Presets that judge or regularise the reconstruction in another way."""

from __future__ import annotations

from typing import Any

from kvae.model.vae import VAE
from kvae.objectives import ELBO, RAE, Perceptual


def dfc_vae(
    x: Any,
    latent_dim: int = 16,
    *,
    feature_model: Any,
    weight: float = 100.0,
    **parts: Any,
) -> VAE:
    """Makes a deep feature consistent VAE: features instead of pixels.

    Args:
        x: (N, ...) training examples.
        latent_dim: D, the number of latent dimensions.
        feature_model: Keras model from x to one or several feature maps.
        weight: of the feature distance, against a rate in nats; too small a weight
            leaves the latents unused.
        **parts: further arguments of `VAE.for_data`.

    Source: Hou et al. 2017, arXiv:1610.00291.
    """
    objective = Perceptual(ELBO(), feature_model, weight, data_weight=0.0)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def rae(
    x: Any,
    latent_dim: int = 16,
    beta: float = 1e-2,
    regulariser: str | None = "l2",
    **parts: Any,
) -> VAE:
    """Makes a regularised deterministic autoencoder; it has no rate and no ELBO.

    Source: Ghosh et al. 2020, arXiv:1903.12436.
    """
    objective = RAE(beta, regulariser)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)
