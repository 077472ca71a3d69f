"""The units of the data, so that networks don't have to learn them."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np

from kvae.core.spread import Spread
from kvae.core.types import Tensor


class Units(abc.ABC):
    """Weights that `Likelihood.adapt` measures, on behalf of a likelihood.

    Networks start with outputs near 0. With these weights, that is where the data are,
    whatever their units. Parameters and densities stay in the units of x, so they need
    no correction. Until `adapt` is called, the weights have no effect.

    Args:
        owner: the likelihood, which keeps the weights.
        **starts: by name, the value that has no effect.
    """

    def __init__(self, owner: Any, **starts: float) -> None:
        self._dtype = owner.maths_dtype
        self._weights = {
            name: owner.add_weight(
                name=name,
                shape=owner.data_shape,
                initializer=keras.initializers.Constant(start),
                dtype=owner.maths_dtype,
                trainable=False,
                autocast=False,
            )
            for name, start in starts.items()
        }
        for name, weight in self._weights.items():  # where a SavedModel finds them
            setattr(owner, f"_{name}", weight)

    @property
    def neutral(self) -> Any:
        """The value that stands for a missing entry: a number, or (*data_shape)."""
        return 0.0

    @abc.abstractmethod
    def adapt(self, x: np.ndarray) -> None:
        """Measures the weights on (N, *data_shape) examples, NaN where one is missing."""

    def load(self, owner: Any, store: Any) -> bool:
        """Loads the weights of a file from before there were units.

        Args:
            owner: the likelihood.
            store: the file's weights by number.

        Returns:
            done: whether this is such a file; if not, nothing was loaded.
        """
        mine = {id(weight) for weight in self._weights.values()}
        every = [*owner._trainable_variables, *owner._non_trainable_variables]
        older = [weight for weight in every if id(weight) not in mine]
        if len(store.keys()) != len(older):
            return False
        for index, weight in enumerate(older):
            weight.assign(store[f"{index}"])
        return True

    def _set(self, name: str, value: np.ndarray) -> None:
        weight = self._weights[name]
        weight.assign(np.broadcast_to(value, weight.shape))


class RealUnits(Units):
    """The location and the scale of real data.

        loc = data_loc + data_scale * raw loc;  scale = data_scale * raw scale

    Args:
        owner: the likelihood, which keeps the weights.
    """

    def __init__(self, owner: Any) -> None:
        super().__init__(owner, data_loc=0.0, data_scale=1.0)

    @property
    def neutral(self) -> Tensor:
        """The location, (*data_shape)."""
        return self._weights["data_loc"].value

    def adapt(self, x: np.ndarray) -> None:
        """Measures location and scale as `Spread` does."""
        spread = Spread.of(x)
        self._set("data_loc", spread.loc)
        self._set("data_scale", spread.scale)

    def loc(self, raw: Tensor) -> Tensor:
        """Puts a head's output into the units of x: (..., *data_shape)."""
        raw = keras.ops.cast(raw, self._dtype)
        return self._weights["data_loc"] + self._weights["data_scale"] * raw

    def scale(self, raw: Tensor) -> Tensor:
        """Puts a scale into the units of x: (..., *data_shape)."""
        return self._weights["data_scale"] * raw

    def relative(self, distance: Tensor) -> Tensor:
        """Measures a distance in spreads of the data: (..., *data_shape)."""
        return distance / self._weights["data_scale"]


class CountUnits(Units):
    """The mean of counts.

        log_mean = data_log_mean + raw log_mean

    Args:
        owner: the likelihood, which keeps the weight.
    """

    def __init__(self, owner: Any) -> None:
        super().__init__(owner, data_log_mean=0.0)

    def adapt(self, x: np.ndarray) -> None:
        """Measures the mean of each entry, with half a count added."""
        seen = np.maximum(1, np.count_nonzero(~np.isnan(x), axis=0))
        total = np.nansum(x, axis=0, dtype="float64")
        self._set("data_log_mean", np.log((total + 0.5) / seen))

    def log_mean(self, raw: Tensor) -> Tensor:
        """Adds it to a head's output: (..., *data_shape)."""
        return self._weights["data_log_mean"] + keras.ops.cast(raw, self._dtype)
