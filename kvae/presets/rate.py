"""Presets that change the rate term."""

from __future__ import annotations

from typing import Any

from kvae.model.vae import VAE
from kvae.objectives import ELBO, Capacity, FreeBits
from kvae.schedules import Cyclical, LinearWarmup


def beta_vae(x: Any, latent_dim: int = 16, *, beta: float = 4.0, **parts: Any) -> VAE:
    """Builds a beta-VAE (KL weighted by `beta`).

    Source: Higgins et al. 2017, "beta-VAE", ICLR.
    """
    return VAE.for_data(x, latent_dim, objective=ELBO(beta), **parts)


def annealed_vae(
    x: Any, latent_dim: int = 16, *, warmup_steps: int = 5000, **parts: Any
) -> VAE:
    """Builds a VAE whose KL weight rises from 0 to 1 over `warmup_steps`.

    Source: Bowman et al. 2016, arXiv:1511.06349; Sonderby et al. 2016, arXiv:1602.02282.
    """
    objective = ELBO(LinearWarmup(warmup_steps))
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def cyclical_vae(
    x: Any,
    latent_dim: int = 16,
    *,
    total_steps: int = 20_000,
    cycles: int = 4,
    **parts: Any,
) -> VAE:
    """Builds a VAE whose KL weight rises again in each cycle of `total_steps`.

    Source: Fu et al. 2019, arXiv:1903.10145.
    """
    objective = ELBO(Cyclical(total_steps, cycles))
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def free_bits_vae(
    x: Any, latent_dim: int = 16, *, floor: float = 0.25, **parts: Any
) -> VAE:
    """Builds a VAE in which each latent dimension has `floor` nats for free.

    Source: Kingma et al. 2016, arXiv:1606.04934.
    """
    objective = FreeBits(ELBO(), floor)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def capacity_vae(
    x: Any,
    latent_dim: int = 16,
    *,
    nats: float = 25.0,
    warmup_steps: int = 100_000,
    gamma: float = 1000.0,
    **parts: Any,
) -> VAE:
    """Builds a VAE whose rate is held at a capacity that grows to `nats`.

    Source: Burgess et al. 2018, arXiv:1804.03599.
    """
    objective = Capacity(ELBO(gamma), LinearWarmup(warmup_steps, end=nats))
    return VAE.for_data(x, latent_dim, objective=objective, **parts)
