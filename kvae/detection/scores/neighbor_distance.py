"""The distance of q(z|x) to its nearest neighbors among normal data."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score

_MOST = 4000  # reference rows; a graph holds them all


class NeighborDistance(Score):
    """The mean distance of the posterior mean to its nearest neighbors in normal data.

        score = mean over the k nearest i of |E[z|x] - E[z|x_i]|

    The neighbors are the posterior means of the data that `fit` saw, at most 4000 of
    them. Unlike a Mahalanobis distance it takes clusters and curved clouds as they are.

    Args:
        num_neighbors: k.

    Source: Ramaswamy, Rastogi, Shim 2000, "Efficient algorithms for mining outliers from
        large data sets"; on features of a network, Sun et al. 2022, arXiv:2204.06507.
    """

    name = "neighbor_distance"
    unit = "latent units"
    needs_fit = True

    def __init__(self, num_neighbors: int = 5) -> None:
        super().__init__()
        self.num_neighbors = check_count("num_neighbors", num_neighbors)

    def fit(self, vae: Any, x: Any, seed: int = 0) -> None:
        """Keeps the posterior means.

        Raises:
            ValueError: if there are fewer examples than neighbors.
        """
        means = vae.embed(x)
        means = np.asarray(means, "float32").reshape(len(means), -1)
        if len(means) < self.num_neighbors:
            raise ValueError(
                f"{self.name} needs at least {self.num_neighbors} examples to fit; "
                f"received {len(means)}."
            )
        if len(means) > _MOST:
            chosen = np.random.default_rng(seed).choice(len(means), _MOST, False)
            means = means[np.sort(chosen)]
        self.fitted = {"means": means}

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the mean distance, (B,)."""
        del key
        return tf.reduce_mean(self.nearest(model, inputs, fitted)[1], axis=1)

    def nearest(
        self, model: Any, inputs: Inputs, fitted: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Finds the neighbors: their indices (B, k), and their distances (B, k)."""
        mean = model.posterior.mean(model.posterior_params(inputs))
        others = fitted["means"]
        squares = (
            tf.reduce_sum(tf.square(mean), axis=1, keepdims=True)
            + tf.reduce_sum(tf.square(others), axis=1)
            - 2.0 * tf.linalg.matmul(mean, others, transpose_b=True)
        )
        nearest = tf.math.top_k(-squares, self.num_neighbors).indices
        # Again by differences, because those squares lose digits where they are small.
        away = mean[:, None, :] - tf.gather(others, nearest)
        return nearest, tf.norm(away, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"num_neighbors": self.num_neighbors}
