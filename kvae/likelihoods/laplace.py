"""The Laplace likelihood."""

from __future__ import annotations

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


@keras.saving.register_keras_serializable(package="kvae")
class Laplace(Likelihood):
    """Independent real entries with Laplace noise: the cost is the absolute error.

        log p(x|z) = sum_i -abs(x[i] - loc[i](z)) / scale - log(2 scale)

    Args:
        data_shape: shape of one example.
        scale: a positive number keeps it fixed; "learned" learns one for all entries;
            "per_dimension" one per entry; "decoder" makes it a function of z. It is the
            mean absolute error, and the standard deviation is sqrt(2) times as much.
        min_scale: learned scales stay above it. It is a multiple of the spread of the
            data that `adapt` measures, or in the units of x without `adapt`.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `scale` or `min_scale` is not one of these.
    """

    support = "real numbers"
    continuous = True
    advice = "Remove infinite entries."

    def __init__(
        self,
        data_shape: tuple[int, ...],
        scale: float | str = "learned",
        *,
        min_scale: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        self.scale = scale
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._scale = Positive(self, "scale", scale, min_scale)
        self._units: RealUnits = RealUnits(self)

    def call(self, features: Tensor) -> Params:
        """Maps features to loc and scale, each (B, *data_shape)."""
        raw = self._loc(features)
        zeros = accelerated_zeros(keras.ops.cast(raw, self.maths_dtype))
        scale = self._scale(features, self._units) + zeros
        return {"loc": self._units.loc(raw), "scale": scale}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Laplace)` with batch (B,) and event `data_shape`."""
        laplace = tfd.Laplace(params["loc"], params["scale"])
        return tfd.Independent(laplace, len(self.data_shape))

    def mean(self, params: Params) -> Tensor:
        """The loc, (B, *data_shape), in the units of x."""
        return params["loc"]

    def supports(self, x: Tensor) -> Tensor:
        """True unless x is infinite."""
        return ~tf.math.is_inf(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "min_scale": self.min_scale,
        }
