"""A TFP distribution: the logistic rounded to equally spaced levels."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Tensor
from kvae.maths import (
    discretized_logistic_log_prob,
    discretized_logistic_mean,
    discretized_logistic_mode,
)
from kvae.maths.discretized_logistic import nearest_level

tfd = tfp.distributions


class LogisticLevels(tfp.distributions.Distribution):
    """The level nearest to a logistic draw, and the outermost one beyond the ends.

    `tfd.QuantizedDistribution` only knows integers, and a `Scale` bijector around it
    would treat masses as densities.

    Args:
        loc: of the logistic, in the units of the levels.
        scale: of the logistic, in the shape of loc.
        low: the lowest level.
        high: the highest level.
        levels: how many.
        name: of the distribution.
    """

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        low: float,
        high: float,
        levels: int,
        name: str = "LogisticLevels",
    ) -> None:
        parameters = dict(locals())
        self._loc, self._scale = loc, scale
        self._range: dict[str, Any] = {"low": low, "high": high, "levels": levels}
        super().__init__(
            dtype=loc.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(
        cls, dtype: Any, num_classes: Any = None
    ) -> dict[str, Any]:
        del dtype, num_classes
        properties = tfp.util.ParameterProperties
        plain = {
            name: properties(event_ndims=None, is_preferred=False)
            for name in ("low", "high", "levels")
        }
        return {"loc": properties(), "scale": properties(), **plain}

    def _event_shape(self) -> Any:
        return tf.TensorShape([])

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([], tf.int32)

    def _log_prob(self, x: Tensor) -> Tensor:
        return discretized_logistic_log_prob(x, self._loc, self._scale, **self._range)

    def _mean(self) -> Tensor:
        return discretized_logistic_mean(self._loc, self._scale, **self._range)

    def _mode(self) -> Tensor:
        return discretized_logistic_mode(self._loc, self._scale, **self._range)

    def _sample_n(self, n: Tensor, seed: Any = None) -> Tensor:
        logistic = tfd.Logistic(self._loc, self._scale)
        return nearest_level(logistic.sample(n, seed=seed), **self._range)
