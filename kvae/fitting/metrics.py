"""Metrics that `fit` and `evaluate` report."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import LossParts, Tensor


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


def make_trackers(prior: Any) -> dict[str, Any]:
    """Makes the metrics of every model, by name.

    Args:
        prior: of the model; its `unit_variance` says when a latent dimension is active.
    """
    means = ("loss", "elbo", "rate", "distortion", "bits_per_dim")
    trackers: dict[str, Any] = {name: keras.metrics.Mean(name=name) for name in means}
    least = 0.01 * prior.unit_variance
    trackers["active_units"] = ActiveUnits(prior.latent_dim, least)
    return trackers


def update_trackers(
    trackers: dict[str, Any],
    parts: LossParts,
    sample_weight: Tensor | None,
    regularizers: Tensor,
    data_shape: tuple[int, ...],
) -> None:
    """Adds one batch to the metrics of a model.

    Args:
        trackers: by name; one for each of `parts.metrics` too.
        parts: of the batch.
        sample_weight: (B,) or None.
        regularizers: scalar, the losses of weights and layers.
        data_shape: shape of one example.
    """
    loss = parts.data_term + parts.kl_term
    if sample_weight is not None:
        loss = loss * tf.cast(sample_weight, loss.dtype)
    trackers["loss"].update_state(loss + regularizers)
    _update_bits(trackers["bits_per_dim"], parts, sample_weight, data_shape)
    values = {
        "elbo": parts.elbo,
        "rate": parts.rate,
        "distortion": parts.distortion,
        "active_units": parts.posterior_mean,
        **parts.metrics,
    }
    for name, value in values.items():
        weight = sample_weight if value.shape.rank else None
        trackers[name].update_state(value, sample_weight=weight)


def _update_bits(
    tracker: Any,
    parts: LossParts,
    sample_weight: Tensor | None,
    data_shape: tuple[int, ...],
) -> None:
    """Adds a batch to the bits of all examples over all their observed entries."""
    elbo = parts.elbo
    entries = None if parts.draw is None else parts.draw.entries
    if entries is None:
        entries = tf.fill(tf.shape(elbo), float(math.prod(data_shape)))
    entries = tf.cast(entries, elbo.dtype)
    bits = -tf.math.divide_no_nan(elbo, entries) / math.log(2.0)
    if sample_weight is not None:
        entries *= tf.cast(sample_weight, entries.dtype)
    tracker.update_state(bits, sample_weight=entries)
