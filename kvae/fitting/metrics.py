"""Metrics that `fit` and `evaluate` report."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class ActiveUnits(keras.metrics.Metric):
    """Counts the latent dimensions that the posterior mean uses.

        active = #{ d : Var_x( E_q(z|x)[z[d]] ) > threshold }

    Args:
        latent_dim: D, the number of latent dimensions.
        threshold: variance above which a dimension is active.
        name: of the metric.
        **kwargs: passed to `keras.metrics.Metric`.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519.
    """

    def __init__(
        self,
        latent_dim: int,
        threshold: float = 0.01,
        name: str = "active_units",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.latent_dim = latent_dim
        self.threshold = threshold
        # In float32 the variance is lost to cancellation where means are in the hundreds.
        self._count = self.add_variable((), "zeros", "float64", name="count")
        self._sum = self.add_variable((latent_dim,), "zeros", "float64", name="sum")
        self._squares = self.add_variable(
            (latent_dim,), "zeros", "float64", name="squares"
        )

    def update_state(
        self, posterior_mean: Tensor, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch of posterior means, (B, D)."""
        means = tf.cast(posterior_mean, tf.float64)
        weight = tf.ones_like(means[:, :1])
        if sample_weight is not None:
            weight = tf.cast(sample_weight, means.dtype)[:, None]
        self._count.assign_add(tf.reduce_sum(weight))
        self._sum.assign_add(tf.reduce_sum(weight * means, axis=0))
        self._squares.assign_add(tf.reduce_sum(weight * tf.square(means), axis=0))

    def result(self) -> Tensor:
        """The number of active dimensions so far."""
        count = tf.maximum(tf.convert_to_tensor(self._count), 1e-12)
        mean = self._sum / count
        variance = self._squares / count - tf.square(mean)
        return tf.reduce_sum(tf.cast(variance > self.threshold, self.dtype))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "latent_dim": self.latent_dim,
            "threshold": self.threshold,
        }
