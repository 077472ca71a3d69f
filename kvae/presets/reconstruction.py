"""Presets that change the reconstruction term."""

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
    """Builds a deep feature consistent VAE (distance of features instead of pixels).

    Args:
        x: (N, ...) training examples.
        latent_dim: D, the number of latent dimensions.
        feature_model: Keras model from x to one or several feature maps.
        weight: weight of the feature distance, relative to a rate in nats. If it is too
            small, the latents remain unused.
        **parts: further arguments of `VAE.for_data`.

    Source: Hou et al. 2017, arXiv:1610.00291.
    """
    objective = Perceptual(ELBO(), feature_model, weight, data_weight=0.0)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def rae(
    x: Any,
    latent_dim: int = 16,
    *,
    beta: float = 1e-2,
    regularizer: str | None = "l2",
    **parts: Any,
) -> VAE:
    """Builds a regularized deterministic autoencoder, without rate and ELBO.

    Source: Ghosh et al. 2020, arXiv:1903.12436.
    """
    objective = RAE(beta, regularizer)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)
