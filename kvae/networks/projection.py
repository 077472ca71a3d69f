"""A linear map from features to one parameter per data entry."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras

from kvae.core.checks import check_data_shape, check_sizes
from kvae.core.types import Tensor
from kvae.networks.unflatten import Unflatten

_MANY = 50_000_000  # weights of one head


@keras.saving.register_keras_serializable(package="kvae")
class Projection(keras.layers.Layer):
    """A linear map from a decoder's features to (B, *data_shape, *per_entry).

    Features (B, *positions, F) whose positions are the first axes of the data keep
    them: one small map makes the numbers at each position, that is, the channels of a
    pixel (a 1x1 convolution) or the features of a step. All other features are
    flattened and mapped densely.

    Args:
        data_shape: shape of one example, for example (28, 28, 1) or (784,).
        per_entry: how many numbers each entry of the data needs, () for one.
        bias_initializer: of the bias; any Keras initializer.
        **kwargs: passed to `keras.layers.Layer`.

    Warns:
        UserWarning: if it has 50 million weights or more, as a dense map to large
            images has.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        per_entry: tuple[int, ...] = (),
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_shape = check_data_shape("Projection", data_shape)
        self.per_entry = check_sizes("per_entry", per_entry, "Try (2,).", empty=True)
        self.bias_initializer = bias_initializer
        self._linear: Any = None
        self._rows: Any = None  # what the dense map is applied to
        self._unflatten = Unflatten(
            (*self.data_shape, *self.per_entry), dtype=self.dtype_policy
        )

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Picks the map that suits features of this shape."""
        options = {
            "bias_initializer": self.bias_initializer,
            "dtype": self.dtype_policy,
            "name": "linear",
        }
        places = tuple(features_shape[1:-1])
        per_place = self.data_shape[len(places) :]
        fits = len(places) > 0 and places == self.data_shape[: len(places)]
        numbers = math.prod(per_place if fits else self.data_shape)
        numbers *= math.prod(self.per_entry)
        if fits and len(places) == 2:
            self._linear = keras.layers.Conv2D(numbers, 1, **options)
        else:
            sizes: Any = features_shape[-1:] if fits else features_shape[1:]
            width = math.prod(sizes)
            features_shape = (None, width)
            self._rows = Unflatten((width,), dtype=self.dtype_policy)
            self._linear = keras.layers.Dense(numbers, **options)
        self._warn_of_size(features_shape[-1], numbers)
        self._linear.build(features_shape)
        self.built = True

    def _warn_of_size(self, features: Any, numbers: int) -> None:
        weights = (features + 1) * numbers
        if weights >= _MANY:
            warnings.warn(
                f"the head {self.name!r} alone has {weights / 1e6:.0f} million weights, a "
                f"dense map of {features} features to {numbers} numbers. Let the decoder "
                "return features that keep the first axes of the data, "
                f"{self.data_shape[:-1] or self.data_shape}, or fewer of them.",
                stacklevel=2,
            )

    def call(self, features: Tensor) -> Tensor:
        """Maps features to (B, *data_shape, *per_entry)."""
        if self._rows is not None:
            features = self._rows(features)
        return self._unflatten(self._linear(features))

    def compute_output_shape(
        self, features_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, *data_shape, *per_entry)."""
        return (features_shape[0], *self.data_shape, *self.per_entry)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "data_shape": self.data_shape,
            "per_entry": self.per_entry,
            "bias_initializer": keras.initializers.serialize(
                keras.initializers.get(self.bias_initializer)
            ),
        }
