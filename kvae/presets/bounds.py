"""Presets with a tighter bound than the ELBO."""

from __future__ import annotations

from typing import Any

from kvae.model.vae import VAE
from kvae.objectives import IWAE


def iwae(x: Any, latent_dim: int = 16, *, num_samples: int = 5, **parts: Any) -> VAE:
    """Builds an importance-weighted autoencoder.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519.
    """
    return VAE.for_data(x, latent_dim, objective=IWAE(num_samples), **parts)


def dreg_iwae(
    x: Any, latent_dim: int = 16, *, num_samples: int = 5, **parts: Any
) -> VAE:
    """Builds an importance-weighted autoencoder with the doubly reparameterized gradient.

    Source: Tucker et al. 2019, arXiv:1810.04152.
    """
    return VAE.for_data(x, latent_dim, objective=IWAE(num_samples, "dreg"), **parts)


def miwae(
    x: Any, latent_dim: int = 16, *, num_samples: int = 8, groups: int = 8, **parts: Any
) -> VAE:
    """Builds a model that trains on the mean of several importance-weighted bounds.

    Source: Rainforth et al. 2018, arXiv:1802.04537 (MIWAE).
    """
    objective = IWAE(num_samples, groups=groups)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def ciwae(
    x: Any,
    latent_dim: int = 16,
    *,
    num_samples: int = 64,
    elbo_weight: float = 0.5,
    **parts: Any,
) -> VAE:
    """Builds a model that trains on a mixture of ELBO and importance-weighted bound.

    Source: Rainforth et al. 2018, arXiv:1802.04537 (CIWAE).
    """
    objective = IWAE(num_samples, elbo_weight=elbo_weight)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)
