"""A network from a vector to the parameters of a normal."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_size, check_sizes
from kvae.core.types import Tensor
from kvae.maths import maths_dtype, softplus


@keras.saving.register_keras_serializable(package="kvae")
class NormalNetwork(keras.layers.Layer):
    """Dense layers, then loc and scale of a diagonal normal.

        scale = min_scale + softplus(raw)

    It starts close to loc = 0 and scale = 1, whatever its input.

    Args:
        dim: entries of loc and of scale.
        units: width of each hidden layer.
        activation: of the hidden layers, any Keras activation.
        min_scale: the smallest scale.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        dim: int,
        units: tuple[int, ...],
        activation: Any = "relu",
        *,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim = check_size("dim", dim)
        self.units = check_sizes("units", units, empty=True)
        self.activation = activation
        self.min_scale = min_scale
        options = {"dtype": self.dtype_policy}
        small = keras.initializers.VarianceScaling(0.01, "fan_avg", "uniform")
        self._hidden = [
            keras.layers.Dense(width, activation, name=f"hidden_{index}", **options)
            for index, width in enumerate(self.units)
        ]
        self._loc = keras.layers.Dense(
            dim, name="loc", kernel_initializer=small, **options
        )
        self._raw_scale = keras.layers.Dense(
            dim,
            name="raw_scale",
            kernel_initializer=small,
            bias_initializer=keras.initializers.Constant(math.log(math.e - 1.0)),
            **options,
        )

    def build(self, x_shape: tuple[int | None, ...]) -> None:
        """Builds every layer for inputs of this shape."""
        width = x_shape[-1]
        for layer in (*self._hidden, self._loc, self._raw_scale):
            layer.build((None, width))
            if layer in self._hidden:
                width = layer.units
        self.built = True

    def call(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maps x (..., F) to loc and scale, each (..., dim), at least float32."""
        for layer in self._hidden:
            x = layer(x)
        dtype = maths_dtype(self.compute_dtype)
        raw_scale = keras.ops.cast(self._raw_scale(x), dtype)
        return keras.ops.cast(self._loc(x), dtype), self.min_scale + softplus(raw_scale)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "dim": self.dim,
            "units": self.units,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "min_scale": self.min_scale,
        }
