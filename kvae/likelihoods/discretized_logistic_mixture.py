"""The likelihood of a mixture of discretized logistics."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_size
from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.level_grid import LevelGrid
from kvae.likelihoods.logistic_levels import LogisticLevels
from kvae.maths import discretized_logistic_log_prob, discretized_logistic_mean
from kvae.networks import Projection

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class DiscretizedLogisticMixture(Likelihood):
    """Levels, such as 8-bit pixels, from a mixture of rounded logistics.

        P(x|z) = prod_pixel sum_k w[pixel, k] prod_channel P_k(x[pixel, channel])

    with P_k the discretized logistic of `DiscretizedLogistic`. For data of shape
    (height, width, channels), all channels of a pixel come from the same component, as
    in PixelCNN++, so that colors are coherent. Given the component they are independent
    (PixelCNN++ lets later channels depend on earlier ones, which needs x in the
    decoder). For data of other shapes, every entry is a pixel with one channel.

    There is no `mode`: the most likely level of a mixture has no closed form.

    Args:
        data_shape: shape of one example.
        components: K, how many logistics are mixed.
        levels: how many levels there are.
        low: the lowest level, in the units of x.
        high: the highest level, in the units of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if there is no component, there are fewer than two levels, or low is
            not below high.

    Source: Salimans, Karpathy, Chen, Kingma 2017, arXiv:1701.05517.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        components: int = 5,
        levels: int = 256,
        low: float = 0.0,
        high: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        self.components = check_size("components", components)
        self.levels = levels
        self.low = low
        self.high = high
        self._grid = LevelGrid(self, levels, low, high)
        self.support, self.advice = self._grid.support, self._grid.advice
        self.filler = self._grid.filler
        self._has_channels = len(self.data_shape) == 3
        pixels = self.data_shape[:-1] if self._has_channels else self.data_shape
        self._logits = Projection(
            pixels, (components,), name="logits", dtype=self.dtype_policy
        )
        # Components that start equal would get the same gradient and stay equal.
        spread = keras.initializers.RandomUniform(-1.0, 1.0)
        self._loc = self.head("loc", (components,), bias_initializer=spread)
        self._log_scale = self.head("log_scale", (components,))

    def call(self, features: Tensor) -> Params:
        """Maps features to logits (B, *pixels, K), loc and scale (B, *data_shape, K)."""
        loc, scale = self._grid.parameters(
            self._loc(features), self._log_scale(features), self.maths_dtype
        )
        logits = keras.ops.cast(self._logits(features), self.maths_dtype)
        return {"logits": logits, "loc": loc, "scale": scale}

    def distribution(self, params: Params) -> Any:
        """Makes an `Independent(MixtureSameFamily)`: batch (B,), event `data_shape`."""
        loc, scale = params["loc"], params["scale"]
        if self._has_channels:  # TFP wants the components before the channels
            loc, scale = (
                tf.linalg.matrix_transpose(loc),
                tf.linalg.matrix_transpose(scale),
            )
        pixels = tfd.MixtureSameFamily(
            tfd.Categorical(logits=params["logits"]),
            tfd.Independent(
                LogisticLevels(loc, scale, **self._grid.range), int(self._has_channels)
            ),
        )
        return tfd.Independent(pixels, len(self.data_shape) - int(self._has_channels))

    def observed_log_prob(
        self, params: Params, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Computes log P of the observed channels of each pixel, summed over pixels."""
        log_prob = discretized_logistic_log_prob(
            x[..., None], params["loc"], params["scale"], **self._grid.range
        )
        if observed is not None:  # a missing channel is summed out inside the mixture
            seen = observed[..., None]
            log_prob = tf.where(seen, log_prob, tf.zeros_like(log_prob))
        if self._has_channels:
            log_prob = tf.reduce_sum(log_prob, axis=-2)
        log_weights = tf.nn.log_softmax(params["logits"])
        pixels = tf.reduce_logsumexp(log_weights + log_prob, axis=-1)
        return tf.reduce_sum(pixels, axis=list(range(-len(self._logits.data_shape), 0)))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-mass of each entry alone, without the pixel's other channels."""
        log_prob = discretized_logistic_log_prob(
            x[..., None], params["loc"], params["scale"], **self._grid.range
        )
        log_weights = tf.nn.log_softmax(params["logits"])
        if self._has_channels:
            log_weights = log_weights[..., None, :]
        return tf.reduce_logsumexp(log_weights + log_prob, axis=-1)

    def mean(self, params: Params) -> Tensor:
        """The mean level, (B, *data_shape), in the units of x."""
        weights = tf.nn.softmax(params["logits"])
        if self._has_channels:
            weights = weights[..., None, :]
        means = discretized_logistic_mean(
            params["loc"], params["scale"], **self._grid.range
        )
        return tf.reduce_sum(weights * means, axis=-1)

    def mode(self, params: Params) -> Tensor:
        """Raises, because the mode has no closed form.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "DiscretizedLogisticMixture has no mode in closed form. Show mean(params), or "
            "draw from distribution(params)."
        )

    def supports(self, x: Tensor) -> Tensor:
        """True where x is one of the levels."""
        return self._grid.supports(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "components": self.components,
            "levels": self.levels,
            "low": self.low,
            "high": self.high,
        }
