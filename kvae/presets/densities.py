"""Presets with another likelihood, posterior, or prior."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae import likelihoods, posteriors, priors
from kvae.model.vae import VAE
from kvae.objectives import ELBO
from kvae.tables import Schema
from kvae.tables.schema import is_frame


def sigma_vae(x: Any, latent_dim: int = 16, **parts: Any) -> VAE:
    """Builds a sigma-VAE (normal likelihood with its most likely scale, in closed form).

    Source: Rybkin, Daniilidis, Levine 2021, arXiv:2006.13202.
    """
    likelihood = likelihoods.Normal(np.shape(x)[1:], scale="optimal")
    return VAE.for_data(x, latent_dim, likelihood=likelihood, **parts)


def full_covariance_vae(x: Any, latent_dim: int = 16, **parts: Any) -> VAE:
    """Builds a VAE whose posterior is a normal with full covariance.

    Source: Kingma, Welling 2019, "An introduction to variational autoencoders",
        arXiv:1906.02691.
    """
    posterior = posteriors.FullNormal(latent_dim)
    return VAE.for_data(x, latent_dim, posterior=posterior, **parts)


def iaf_vae(x: Any, latent_dim: int = 16, *, num_steps: int = 2, **parts: Any) -> VAE:
    """Builds a VAE whose posterior is an inverse autoregressive flow.

    Source: Kingma et al. 2016, arXiv:1606.04934.
    """
    posterior = posteriors.InverseAutoregressiveFlow(latent_dim, num_steps)
    return _sampled(x, latent_dim, posterior=posterior, **parts)


def sylvester_vae(x: Any, latent_dim: int = 16, **parts: Any) -> VAE:
    """Builds a VAE whose posterior is a Sylvester flow.

    Source: van den Berg et al. 2018, arXiv:1803.05649.
    """
    posterior = posteriors.SylvesterFlow(latent_dim)
    return _sampled(x, latent_dim, posterior=posterior, **parts)


def vamp_vae(
    x: Any, latent_dim: int = 16, *, num_components: int = 500, **parts: Any
) -> VAE:
    """Builds a VAE whose prior is a mixture of posteriors at learned pseudo-examples.

    Pseudo-examples start at random training examples, and stay in [0, 1] if the data do.

    Source: Tomczak, Welling 2018, arXiv:1705.07120.
    """
    shape = np.shape(x)[1:]
    if is_frame(x):
        parts["schema"] = parts.get("schema") or Schema.of(x)
        shape = (len(parts["schema"].entries()),)
    prior = priors.VampPrior(latent_dim, shape, num_components)
    return _sampled(x, latent_dim, prior=prior, **parts)


def mixture_vae(
    x: Any, latent_dim: int = 16, *, num_components: int = 10, **parts: Any
) -> VAE:
    """Builds a VAE whose prior is a learned mixture of normals.

    Source: Dilokthanakul et al. 2016, arXiv:1611.02648. This is its prior, with the
        component summed out.
    """
    prior = priors.GaussianMixture(latent_dim, num_components)
    return _sampled(x, latent_dim, prior=prior, **parts)


def real_nvp_vae(x: Any, latent_dim: int = 16, **parts: Any) -> VAE:
    """Builds a VAE whose prior is a flow of affine couplings.

    Source: Dinh, Sohl-Dickstein, Bengio 2017, arXiv:1605.08803; as a prior: Chen et al.
        2017, "Variational lossy autoencoder", arXiv:1611.02731.
    """
    return _sampled(x, latent_dim, prior=priors.RealNVP(latent_dim), **parts)


def hyperspherical_vae(x: Any, latent_dim: int = 16, **parts: Any) -> VAE:
    """Builds a VAE on the unit sphere (power spherical posterior, uniform prior).

    Source: Davidson et al. 2018, arXiv:1804.00891; the power spherical instead of its von
        Mises-Fisher: De Cao, Aziz 2020, arXiv:2006.04437.
    """
    return VAE.for_data(
        x,
        latent_dim,
        posterior=posteriors.PowerSpherical(latent_dim),
        prior=priors.UniformSphere(latent_dim),
        **parts,
    )


def _sampled(x: Any, latent_dim: int, **parts: Any) -> VAE:
    """Builds a model whose KL has no closed form and is estimated from the latents."""
    return VAE.for_data(x, latent_dim, **{"objective": ELBO(kl="sampled"), **parts})
