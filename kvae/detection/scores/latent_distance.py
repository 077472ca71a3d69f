"""The distance of q(z|x) from where the normal data are encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score


class LatentDistance(Score):
    """The squared Mahalanobis distance of the posterior mean from those of normal data.

        score = (m - mu)^T S^-1 (m - mu),   m = E[z|x]

    mu and S are the mean and the covariance of the posterior means of the data that
    `fit` saw, which is the aggregate posterior but for the spread of each q(z|x). S is
    shrunk a little toward a multiple of the unit matrix, so that latents that hold
    nothing don't decide. For one normal cluster the score is about D.

    Source: Lee et al. 2018, arXiv:1807.03888, eq. 2, with one class, on latents.
    """

    name = "latent_distance"
    unit = "squared standard deviations"
    needs_fit = True

    def fit(self, vae: Any, x: Any, seed: int = 0) -> None:
        """Computes the mean and the covariance of the posterior means."""
        del seed
        means = vae.embed(x)
        means = np.asarray(means, "float64").reshape(len(means), -1)
        loc, precision = mean_and_precision(means)
        self.fitted = {"loc": loc, "precision": precision}

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the squared distance, (B,)."""
        del key
        mean = model.posterior.mean(model.posterior_params(inputs))
        away = mean - fitted["loc"]
        return tf.reduce_sum(away * tf.linalg.matmul(away, fitted["precision"]), axis=1)


def mean_and_precision(
    rows: np.ndarray, shrinkage: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean and the inverse of the shrunk covariance of rows.

        S = (1 - a) * cov + a * trace(cov) / D * I

    Args:
        rows: (N, D).
        shrinkage: a.

    Returns:
        mean: (D,).
        precision: (D, D), the inverse of S.
    """
    mean = rows.mean(axis=0)
    away = rows - mean
    covariance = away.T @ away / max(len(rows) - 1, 1)
    size = max(float(np.trace(covariance)) / len(covariance), 1e-12)
    shrunk = (1.0 - shrinkage) * covariance + shrinkage * size * np.eye(len(covariance))
    return mean, np.linalg.inv(shrunk)
