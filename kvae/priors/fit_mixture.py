"""A mixture of normals fitted to the latents of a trained model."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.arrays import is_arrays
from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.extras import require
from kvae.priors.conditional_gaussian_mixture import ConditionalGaussianMixture
from kvae.priors.gaussian_mixture import GaussianMixture

_EXAMPLES = 100_000  # of a label at most: EM's memory grows with them times components


def fit_mixture(
    vae: Any, x: Any, num_components: int = 10, *, seed: int = 0
) -> GaussianMixture | ConditionalGaussianMixture:
    """Fits a mixture of diagonal normals to latents of the data, by EM.

    One z is drawn from q(z|x) for each example, so the mixture describes the aggregate
    posterior, which the decoder knows, and not the prior, which it may never have seen:

        prior = kvae.priors.fit_mixture(vae, x_train, num_components=50)
        better = vae.with_prior(prior)
        pictures = better.sample(64)

    A model that is conditioned on labels gets a mixture for each label.

    Args:
        vae: a trained `kvae.VAE` whose latents are in R^D.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask". Of
            more than 100 000 examples (of a label), that many are taken, evenly spaced.
        num_components: C, at most N, or at most the examples of each label.
        seed: of the draws and of the fits.

    Returns:
        prior: a `GaussianMixture`, or a `ConditionalGaussianMixture` for labels, ready to
            replace the model's prior.

    Raises:
        ImportError: if scikit-learn is not installed.
        ValueError: if the latents are on a sphere, or there are fewer examples than
            components.

    Source: the "ex-post density estimation" of Ghosh et al. 2020, arXiv:1903.12436.
    """
    mixture = require("sklearn.mixture", "fit_mixture")
    check_vae(vae)
    check_count("num_components", num_components)
    check_seed(seed)
    if vae.posterior.space != GaussianMixture.space:
        raise ValueError(
            "fit_mixture fits normals on R^D; the latents of this model are on "
            f"{vae.posterior.space}, where UniformSphere is the prior to draw from."
        )
    x = _some(vae, x)
    key = tf.constant([seed, 0x317], tf.int32)
    z = np.asarray(vae.encode(x).sample(seed=key), "float64")
    em = mixture.GaussianMixture(
        num_components, covariance_type="diag", random_state=seed
    )
    if vae.condition is None or not vae.condition.classes:
        return GaussianMixture.from_parameters(*_fit(em, z))
    given, labels = np.asarray(x["condition"]), vae.condition.classes
    fits = [_fit(em, z[given == label], f" of label {label}") for label in labels]
    weights, loc, scale = (np.stack(values) for values in zip(*fits, strict=True))
    return ConditionalGaussianMixture.from_parameters(labels, weights, loc, scale)


def _some(vae: Any, x: Any) -> Any:
    """Takes evenly spaced examples, of each label, if there are very many."""
    if not is_arrays(x):
        return x
    inputs = vae.complete_inputs(x).to_dict()
    labels = np.zeros(len(inputs["x"]))
    if vae.condition is not None and vae.condition.classes:
        labels = np.asarray(inputs["condition"])
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    rows = np.concatenate([rows[:: -(-len(rows) // _EXAMPLES)] for rows in groups])
    if len(rows) == len(labels):
        return x
    return {name: np.asarray(values)[np.sort(rows)] for name, values in inputs.items()}


def _fit(
    em: Any, z: np.ndarray, which: str = ""
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits an estimator again; returns weights (C,), loc (C, D) and scale (C, D)."""
    if len(z) < em.n_components:
        raise ValueError(
            f"fit_mixture expects at least one example{which} per component; received "
            f"{len(z)} examples and num_components={em.n_components}."
        )
    em.fit(z)
    # EM may empty a component, and a weight of exactly zero has no logarithm.
    weights = np.maximum(em.weights_, 1e-8)
    return weights / weights.sum(), em.means_, np.sqrt(em.covariances_)
