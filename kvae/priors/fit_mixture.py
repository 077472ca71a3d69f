"""A mixture of normals fitted to what a trained model encodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.priors.gaussian_mixture import GaussianMixture


def fit_mixture(
    vae: Any, x: Any, num_components: int = 10, seed: int = 0
) -> GaussianMixture:
    """Fits a mixture of diagonal normals to latents of the data, by EM.

    One z is drawn from q(z|x) for each example, so the mixture describes the aggregate
    posterior, which the decoder knows, and not the prior, which it may never have seen:

        prior = kvae.priors.fit_mixture(vae, x_train, num_components=50)
        better = vae.with_prior(prior, objective=kvae.objectives.ELBO(kl="sampled"))
        pictures = better.sample(64)

    Args:
        vae: a trained `kvae.VAE` whose latents lie in R^D.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        num_components: C, at most N.
        seed: of the draws and of the fit.

    Returns:
        prior: the mixture, ready to replace the model's prior.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if the latents lie on a sphere, or there are fewer examples than
            components.

    Source: the "ex-post density estimation" of Ghosh et al. 2020, arXiv:1903.12436.
    """
    try:
        from sklearn.mixture import GaussianMixture as Estimator
    except ImportError:
        raise ImportError(
            "fit_mixture needs scikit-learn, which is not installed. Run: "
            'pip install "keras-vae[train]"'
        ) from None
    if vae.posterior.space != GaussianMixture.space:
        raise ValueError(
            f"fit_mixture fits normals on R^D; the latents of this model lie on "
            f"{vae.posterior.space}, where UniformSphere is the prior to draw from."
        )
    key = tf.constant([seed, 0x317], tf.int32)
    z = np.asarray(vae.encode(x).sample(seed=key), "float64")
    if len(z) < num_components:
        raise ValueError(
            f"fit_mixture expects at least one example per component; received {len(z)} "
            f"examples and num_components={num_components}."
        )
    estimator = Estimator(num_components, covariance_type="diag", random_state=seed)
    estimator.fit(z)
    # EM may empty a component; a weight of exactly zero has no logarithm.
    weights = np.maximum(estimator.weights_, 1e-8)
    return GaussianMixture.from_parameters(
        weights / weights.sum(), estimator.means_, np.sqrt(estimator.covariances_)
    )
