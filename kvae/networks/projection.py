"""From features to one parameter per data entry."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.types import Tensor
from kvae.networks.unflatten import Unflatten


@keras.saving.register_keras_serializable(package="kvae")
class Projection(keras.layers.Layer):
    """A linear map from a decoder's features to (B, *data_shape, *per_entry).

    Feature maps whose height and width are those of the data keep their places: a 1x1
    convolution makes the channels. Anything else is flattened and mapped densely.

    Args:
        data_shape: shape of one example, for example (28, 28, 1) or (784,).
        per_entry: how many numbers each entry of the data needs, () for one.
        bias_initializer: of the bias; any Keras initializer.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        per_entry: tuple[int, ...] = (),
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_shape = tuple(data_shape)
        self.per_entry = tuple(per_entry)
        self.bias_initializer = bias_initializer
        self._linear: Any = None
        self._flatten: Any = None
        self._unflatten = Unflatten(
            (*self.data_shape, *self.per_entry), dtype=self.dtype_policy
        )

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Picks the map that suits features of this shape."""
        is_image = len(self.data_shape) in (2, 3) and len(features_shape) == 4
        options = {
            "bias_initializer": self.bias_initializer,
            "dtype": self.dtype_policy,
        }
        if is_image and tuple(features_shape[1:3]) == self.data_shape[:2]:
            numbers = math.prod(self.data_shape[2:]) * math.prod(self.per_entry)
            self._linear = keras.layers.Conv2D(numbers, 1, name="linear", **options)
            self._linear.build(features_shape)
        else:
            numbers = math.prod(self.data_shape) * math.prod(self.per_entry)
            self._flatten = keras.layers.Flatten(dtype=self.dtype_policy)
            self._linear = keras.layers.Dense(numbers, name="linear", **options)
            self._linear.build(self._flatten.compute_output_shape(features_shape))
        self.built = True

    def call(self, features: Tensor) -> Tensor:
        """Maps features to (B, *data_shape, *per_entry)."""
        if self._flatten is not None:
            features = self._flatten(features)
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
