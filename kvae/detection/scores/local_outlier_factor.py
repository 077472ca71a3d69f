"""How much sparser the latents are around an example than around its neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.neighbor_distance import NeighborDistance

_LEAST = 1e-10  # added to distances, which are 0 where rows are equal
_ROWS = 500  # of the table of distances at a time


class LocalOutlierFactor(NeighborDistance):
    """The density of latents around the neighbors, over that around the posterior mean.

        score = mean over the k nearest i of density(z_i) / density(E[z|x])
        density(z) = 1 / mean over the k nearest i of max(|z - z_i|, distance_k(z_i))

    distance_k is the distance of a neighbor to its own k-th. Where normal data are
    dense, a small distance is unusual, and where they are sparse, a large one is not. The
    neighbors are the posterior means of the data that `fit` saw, at most 4000 of them.

    Args:
        num_neighbors: k.

    Source: Breunig, Kriegel, Ng, Sander 2000, "LOF: identifying density-based local
        outliers", definitions 5 to 7.
    """

    name = "local_outlier_factor"
    unit = "ratio of densities"

    def __init__(self, num_neighbors: int = 20) -> None:
        super().__init__(num_neighbors)

    def fit(self, vae: Any, x: Any, seed: int = 0) -> None:
        """Keeps the posterior means and the density around each.

        Raises:
            ValueError: if there are not more examples than neighbors.
        """
        super().fit(vae, x, seed)
        means = self.fitted["means"].astype("float64")
        k = self.num_neighbors
        if len(means) <= k:
            raise ValueError(
                f"{self.name} needs more than {k} examples to fit; received {len(means)}."
            )
        sizes = np.square(means).sum(axis=1)
        nearest, away = [], []
        for start in range(0, len(means), _ROWS):
            part = slice(start, start + _ROWS)
            squares = sizes[part, None] + sizes - 2.0 * means[part] @ means.T
            rows = np.arange(len(squares))
            squares[rows, start + rows] = np.inf  # a row isn't its own neighbor
            found = np.argpartition(squares, k - 1, axis=1)[:, :k]
            nearest.append(found)
            away.append(np.linalg.norm(means[part, None] - means[found], axis=-1))
        neighbors, distances = np.concatenate(nearest), np.concatenate(away)
        reach = distances.max(axis=1)
        mean = np.maximum(distances, reach[neighbors]).mean(axis=1)
        self.fitted["reach"] = reach.astype("float32")
        self.fitted["density"] = (1.0 / (mean + _LEAST)).astype("float32")

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the factor, (B,)."""
        del key
        nearest, away = self.nearest(model, inputs, fitted)
        away = tf.maximum(away, tf.gather(fitted["reach"], nearest))
        around = tf.reduce_mean(tf.gather(fitted["density"], nearest), axis=1)
        return around * (tf.reduce_mean(away, axis=1) + _LEAST)
