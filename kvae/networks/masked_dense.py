"""A dense layer with some connections cut."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_number, is_integer
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class MaskedDense(keras.layers.Layer):
    """A linear map in which an output sees only inputs of low enough degree.

        y[o] = bias[o] + sum of kernel[i, o] x[i] over i with  in_degree[i] <= out_degree[o]

    Args:
        in_degrees: one integer per input.
        out_degrees: one integer per output.
        strict: whether an output sees only inputs of lower degree than its own.
        gain: multiplies the variance of the initial kernel.
        **kwargs: passed to `keras.layers.Layer`.

    Source: Germain, Gregor, Murray, Larochelle 2015, arXiv:1502.03509.
    """

    def __init__(
        self,
        in_degrees: tuple[int, ...],
        out_degrees: tuple[int, ...],
        strict: bool = False,
        gain: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.in_degrees = _degrees("in_degrees", in_degrees)
        self.out_degrees = _degrees("out_degrees", out_degrees)
        self.strict = strict
        self.gain = check_number("gain", gain, 0)
        compare = np.less if strict else np.less_equal
        self._mask = compare.outer(self.in_degrees, self.out_degrees)
        self._kernel = self.add_weight(
            name="kernel",
            shape=self._mask.shape,
            initializer=keras.initializers.VarianceScaling(gain, "fan_avg", "uniform"),
        )
        self._bias = self.add_weight(
            name="bias", shape=(len(self.out_degrees),), initializer="zeros"
        )
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Maps (..., inputs) to (..., outputs)."""
        kernel = self._kernel * tf.constant(self._mask, x.dtype)
        return tf.tensordot(x, kernel, axes=1) + self._bias

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "in_degrees": self.in_degrees,
            "out_degrees": self.out_degrees,
            "strict": self.strict,
            "gain": self.gain,
        }


def _degrees(name: str, value: Any) -> tuple[int, ...]:
    degrees = value if isinstance(value, (tuple, list)) else ()
    if not degrees or not all(is_integer(n) and abs(n) < 2**31 for n in degrees):
        raise ValueError(
            f"{name} must be a tuple of integers, one per entry; received {value!r}."
        )
    return tuple(int(degree) for degree in degrees)
