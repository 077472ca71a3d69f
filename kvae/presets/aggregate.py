"""Presets with a term of the aggregate posterior q(z)."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import is_number
from kvae.model.vae import VAE
from kvae.objectives import ELBO, MMD, BetaTC, FactorVAE


def info_vae(
    x: Any,
    latent_dim: int = 16,
    *,
    alpha: float = 0.0,
    weight: float = 1000.0,
    **parts: Any,
) -> VAE:
    """Builds an InfoVAE with the maximum mean discrepancy.

        loss = distortion + (1 - alpha) rate + (alpha + weight - 1) MMD^2(q(z), p(z))

    Args:
        x: (N, ...) training examples.
        latent_dim: D, the number of latent dimensions.
        alpha: how much mutual information is rewarded, at most 1. 1 is the MMD-VAE.
        weight: lambda in the paper. alpha + weight must be at least 1.
        **parts: further arguments of `VAE.for_data`.

    Source: Zhao, Song, Ermon 2017, arXiv:1706.02262.
    """
    if not is_number(alpha) or not is_number(weight):
        raise ValueError(
            f"alpha and weight must be numbers; received {alpha!r} and {weight!r}."
        )
    if alpha > 1 or alpha + weight < 1:
        raise ValueError(
            "info_vae expects alpha <= 1 and alpha + weight >= 1, because otherwise it "
            f"rewards a divergence; received alpha={alpha!r}, weight={weight!r}."
        )
    objective = MMD(ELBO(1.0 - alpha), alpha + weight - 1.0)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def wae_mmd(x: Any, latent_dim: int = 16, *, weight: float = 10.0, **parts: Any) -> VAE:
    """Builds a Wasserstein autoencoder (MMD of q(z) instead of the KL term).

    The code is random, drawn from q(z|x). For a deterministic code, use
    `MMD(RAE(0.0, None), weight)`.

    Source: Tolstikhin et al. 2018, arXiv:1711.01558.
    """
    objective = MMD(ELBO(0.0), weight)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def beta_tc_vae(
    x: Any, latent_dim: int = 16, *, beta: float = 6.0, **parts: Any
) -> VAE:
    """Builds a beta-TCVAE (total correlation weighted by `beta`).

    Raises:
        ValueError: if x is not in memory, because the estimate needs the number of
            examples.

    Source: Chen et al. 2018, arXiv:1802.04942.
    """
    examples: Any = x.get("x") if isinstance(x, dict) else x
    shape = np.shape(examples)
    if not shape:
        raise ValueError(
            "beta_tc_vae takes examples in memory, because its objective needs their "
            f"number; received {type(x).__name__}. For a data set, pass "
            "objective=kvae.objectives.BetaTC(number of examples) to VAE.for_data."
        )
    objective = BetaTC(shape[0], beta)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)


def factor_vae(
    x: Any, latent_dim: int = 16, *, gamma: float = 10.0, **parts: Any
) -> VAE:
    """Builds a FactorVAE (total correlation, by a discriminator, weighted by 1 + `gamma`).

    Source: Kim, Mnih 2018, arXiv:1802.05983.
    """
    objective = FactorVAE(ELBO(), gamma)
    return VAE.for_data(x, latent_dim, objective=objective, **parts)
