"""The terms of each level that a walk from the top down collects."""

from __future__ import annotations

import math

import tensorflow as tf

from kvae.core.types import Tensor, Walk


class LevelTerms:
    """Densities and divergences of normals, level by level.

    All tensors broadcast against (K, B, d), d latents of a level.
    """

    def __init__(self) -> None:
        self._z: list[Tensor] = []
        self._noise: list[Tensor] = []
        self._log_scales: list[Tensor] = []
        self._log_q: list[Tensor] = []
        self._log_p: list[Tensor] = []
        self._rates: list[Tensor] = []
        self._distances: list[Tensor] = []

    def add(
        self,
        z: Tensor,
        noise: Tensor,
        posterior: tuple[Tensor, Tensor],
        prior: tuple[Tensor, Tensor],
    ) -> None:
        """Adds a level.

        Args:
            z: (K, B, d) latents.
            noise: (K, B, d), (z - loc) / scale of the posterior.
            posterior: loc and scale of q.
            prior: loc and scale of p.
        """
        (loc_q, scale_q), (loc_p, scale_p) = posterior, prior
        full = tf.zeros_like(noise)  # gives terms that are the same for all a row each
        log_q, log_p = tf.math.log(scale_q), tf.math.log(scale_p)
        distance = (loc_q - loc_p) / scale_p
        rate = 0.5 * (tf.square(distance) + tf.square(scale_q / scale_p) - 1.0)
        rate += log_p - log_q
        self._z.append(z)
        self._noise.append(noise)
        self._log_scales.append(tf.reduce_sum(log_q + full, axis=-1))
        self._log_q.append(_log_normal(noise, log_q))
        self._log_p.append(_log_normal((z - loc_p) / scale_p, log_p))
        self._rates.append(tf.reduce_sum(rate + full, axis=-1))
        self._distances.append(tf.reduce_mean(distance + full, axis=0))

    def walk(self, features: Tensor) -> Walk:
        """Makes the record of a walk that ended in these features."""
        return Walk(
            z=tf.concat(self._z, axis=-1),
            log_posterior=tf.add_n(self._log_q),
            log_prior=tf.add_n(self._log_p),
            features=features,
            rates=tf.stack(self._rates, axis=-1),
            active_means=tf.concat(self._distances, axis=-1),
        )

    @property
    def noise(self) -> Tensor:
        """The noise of all levels, (K, B, D)."""
        return tf.concat(self._noise, axis=-1)

    @property
    def log_det(self) -> Tensor:
        """The log-determinant of z as a map of the noise, (K, B)."""
        return tf.add_n(self._log_scales)


def _log_normal(standard: Tensor, log_scale: Tensor) -> Tensor:
    """Computes log Normal, summed over dimensions, of a standardized value."""
    entries = -0.5 * tf.square(standard) - log_scale - 0.5 * math.log(2.0 * math.pi)
    return tf.reduce_sum(entries, axis=-1)
