"""The normal likelihood."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.positive import Positive
from kvae.likelihoods.units import RealUnits
from kvae.maths.stable import accelerated_zeros

tfd = tfp.distributions

_LOG_ROOT_2_PI = 0.5 * math.log(2.0 * math.pi)
_MOMENTUM = 0.99  # of the running mean square that evaluation uses


@keras.saving.register_keras_serializable(package="kvae")
class Normal(Likelihood):
    """Independent real entries with normal noise.

        log p(x|z) = sum_i -0.5 ((x[i] - loc[i](z)) / scale)^2 - log scale - 0.5 log(2 pi)

    With `scale="optimal"`, one scale for all entries is not learned by gradient but set to
    the most likely value, in closed form. In training, it is that of the batch:

        scale^2 = mean of (x - loc)^2 over latents, examples and observed entries

    held constant under the gradient, which loses nothing: at its optimum the mean
    log-density does not change with the scale. With a scale fitted to the batch itself,
    this would not be a density of that batch, so evaluation, sampling, and export use a
    running mean of scale^2 over the training batches, a weight that is saved. `evaluate`
    therefore reports true nats, whether for one example or for many. What `fit` reports
    for a training batch is optimistic by as much as fitting one number to it allows.

    Args:
        data_shape: shape of one example.
        scale: a positive number keeps it fixed; "learned" learns one for all entries;
            "per_dimension" one per entry; "decoder" makes it a function of z; "optimal"
            computes the most likely one for all entries.
        min_scale: scales that are not fixed stay above it; a perfect fit would otherwise
            drive the density to infinity. It is a multiple of the spread of the data
            that `adapt` measures, or in the units of x without `adapt`.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `scale` or `min_scale` is not one of these.

    Source: Kingma, Welling 2014, arXiv:1312.6114, appendix C.2; "learned" and
        "optimal": Rybkin, Daniilidis, Levine 2021, arXiv:2006.13202.
    """

    support = "real numbers"
    continuous = True
    advice = "Remove infinite entries."

    def __init__(
        self,
        data_shape: tuple[int, ...],
        scale: float | str = "learned",
        min_scale: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        self.scale = scale
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._scale = Positive(self, "scale", scale, min_scale, further=("optimal",))
        if scale == "optimal":  # the mean square is in squared spreads of the data
            self._mean_square = self._statistic("mean_square", 1.0)
            self._batches = self._statistic("batches", 0.0)
        self._units: RealUnits = RealUnits(self)

    def call(self, features: Tensor) -> Params:
        """Maps features to loc and scale, each (B, *data_shape)."""
        raw = self._loc(features)
        if self.scale == "optimal":
            scale = self._units.scale(self._bounded_root(self._mean_square.value))
        else:
            scale = self._scale(features, self._units)
        zeros = accelerated_zeros(keras.ops.cast(raw, self.maths_dtype))
        return {"loc": self._units.loc(raw), "scale": scale + zeros}

    def calibrate(
        self,
        params: Params,
        x: Tensor,
        mask: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Params:
        """Sets an optimal scale to that of the batch, and moves the running mean."""
        if self.scale != "optimal" or not self.trainable:
            return params
        mean_square = self._batch_mean_square(params["loc"], x, mask, sample_weight)
        # A plain mean over the first batches, so that the initial value does not linger.
        seen = self._batches.value + 1.0
        share = tf.maximum(1.0 / seen, 1.0 - _MOMENTUM)
        old = self._mean_square.value
        # A batch that overflows must not stay in the mean, because its step may be skipped.
        good = tf.math.is_finite(mean_square)
        self._mean_square.assign(tf.where(good, old + share * (mean_square - old), old))
        self._batches.assign(tf.where(good, seen, seen - 1.0))
        scale = self._units.scale(self._bounded_root(mean_square))
        return {**params, "scale": scale + tf.zeros_like(params["scale"])}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch (B,) and event `data_shape`."""
        normal = tfd.Normal(params["loc"], params["scale"])
        return tfd.Independent(normal, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-density of each entry, even far from 0 with a small spread."""
        # TFP computes x / scale - loc / scale, which loses digits if both are large.
        u = (x - params["loc"]) / params["scale"]
        return -0.5 * tf.square(u) - tf.math.log(params["scale"]) - _LOG_ROOT_2_PI

    def mean(self, params: Params) -> Tensor:
        """The loc, (B, *data_shape), in the units of x."""
        return params["loc"]

    def supports(self, x: Tensor) -> Tensor:
        """True unless x is infinite."""
        return ~tf.math.is_inf(x)

    def _bounded_root(self, mean_square: Tensor) -> Tensor:
        return tf.sqrt(tf.maximum(mean_square, self.min_scale**2))

    def _batch_mean_square(
        self, loc: Tensor, x: Tensor, mask: Tensor | None, sample_weight: Tensor | None
    ) -> Tensor:
        """Averages (x - loc)^2, in spreads, over the entries that count on all replicas."""
        loc = tf.stop_gradient(loc)
        x = tf.cast(x, loc.dtype)
        counts = tf.math.is_finite(x)  # other entries do not affect the scale
        if mask is not None:
            counts &= tf.cast(mask, tf.bool)
        weight = tf.cast(counts, loc.dtype)
        if sample_weight is not None:
            each = tf.cast(sample_weight, loc.dtype)
            weight *= tf.reshape(each, (-1, *(1 for _ in self.data_shape)))
        gap = self._units.relative(tf.where(counts, x, tf.zeros_like(x)) - loc)
        weight += tf.zeros_like(gap)
        sums = tf.stack([tf.reduce_sum(weight * tf.square(gap)), tf.reduce_sum(weight)])
        replicas = tf.distribute.get_replica_context()
        if replicas is not None and replicas.num_replicas_in_sync > 1:
            sums = replicas.all_reduce(tf.distribute.ReduceOp.SUM, sums)
        # Without observed entries, nothing is known about the scale.
        found = tf.math.divide_no_nan(sums[0], sums[1])
        return tf.where(sums[1] > 0, found, self._mean_square.value)

    def _statistic(self, name: str, start: float) -> Any:
        return self.add_weight(
            name=name,
            shape=(),
            dtype=self.maths_dtype,
            initializer=keras.initializers.Constant(start),
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "min_scale": self.min_scale,
        }
