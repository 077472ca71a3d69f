"""The discretized logistic likelihood."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.level_grid import LevelGrid
from kvae.likelihoods.logistic_levels import LogisticLevels

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class DiscretizedLogistic(Likelihood):
    """Independent levels, such as 8-bit pixels: a logistic rounded to the levels.

        P(x[i]|z) = sigmoid((x[i] - loc[i] + h) / scale[i])
                    - sigmoid((x[i] - loc[i] - h) / scale[i])

    with h half a step between levels. The lowest level takes the whole lower tail and
    the highest the whole upper one, so the masses sum to one. These are probabilities,
    not densities: the nats are those of a lossless code, and can be compared across
    models.

    Args:
        data_shape: shape of one example.
        levels: the number of levels.
        low: the lowest level, in the units of x.
        high: the highest level, in the units of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if there are fewer than two levels, or low is not below high.

    Source: Kingma et al. 2016, arXiv:1606.04934; Salimans, Karpathy, Chen, Kingma 2017,
        arXiv:1701.05517, with one component.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        *,
        levels: int = 256,
        low: float = 0.0,
        high: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        self.levels = levels
        self.low = low
        self.high = high
        self._grid = LevelGrid(self, levels, low, high)
        self.support, self.advice = self._grid.support, self._grid.advice
        self.filler = self._grid.filler
        self._loc = self.head("loc")
        self._log_scale = self.head("log_scale")

    def call(self, features: Tensor) -> Params:
        """Maps features to loc and scale, each (B, *data_shape), in the units of x."""
        loc, scale = self._grid.parameters(
            self._loc(features), self._log_scale(features), self.maths_dtype
        )
        return {"loc": loc, "scale": scale}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(LogisticLevels)` with batch (B,) and event `data_shape`."""
        entries = LogisticLevels(params["loc"], params["scale"], **self._grid.range)
        return tfd.Independent(entries, len(self.data_shape))

    def mean(self, params: Params) -> Tensor:
        """The mean level, (B, *data_shape), in the units of x."""
        return self.distribution(params).distribution.mean()

    def supports(self, x: Tensor) -> Tensor:
        """True where x is one of the levels."""
        return self._grid.supports(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "levels": self.levels,
            "low": self.low,
            "high": self.high,
        }
