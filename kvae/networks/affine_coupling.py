"""One coupling step of a RealNVP flow."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_size, check_sizes
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class AffineCoupling(keras.layers.Layer):
    """Scales and shifts every second entry, by amounts computed from the others.

        z[moved] = u[moved] * exp(log_scale(u[kept])) + shift(u[kept]),  z[kept] = u[kept]
        log_scale = max_log_scale * tanh(raw / max_log_scale)

    Args:
        dim: D, entries of the vector, at least 2.
        move_odd: whether entries 1, 3, ... move and 0, 2, ... are kept, or the reverse.
        units: width of each hidden layer of the network that computes them.
        activation: any Keras activation.
        max_log_scale: bound on the log of a scale, which keeps the step invertible in
            floating point.
        **kwargs: passed to `keras.layers.Layer`.

    Source: Dinh, Sohl-Dickstein, Bengio 2017, arXiv:1605.08803.
    """

    def __init__(
        self,
        dim: int,
        move_odd: bool,
        units: tuple[int, ...] = (64, 64),
        activation: Any = "elu",
        max_log_scale: float = 3.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim = check_size("dim", dim, 2)
        self.move_odd = move_odd
        self.units = check_sizes("units", units, empty=True)
        self.activation = activation
        self.max_log_scale = max_log_scale
        self._moves = np.arange(dim) % 2 == int(move_odd)
        options = {"dtype": self.dtype_policy}
        # Masked inputs and outputs cost a little more than half-length ones, but need
        # no gathering and scattering of entries.
        self._layers_of_units = [
            keras.layers.Dense(width, activation, name=f"hidden_{index}", **options)
            for index, width in enumerate(self.units)
        ]
        self._output = keras.layers.Dense(
            2 * dim,
            kernel_initializer=keras.initializers.VarianceScaling(
                0.01, "fan_avg", "uniform"
            ),
            name="output",
            **options,
        )
        width = dim
        for layer in (*self._layers_of_units, self._output):
            layer.build((None, width))
            width = layer.units
        self.built = True

    def call(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., D) to z (..., D) and log |det dz/du| (...)."""
        shift, log_scale = self._decide(u)
        return u * tf.exp(log_scale) + shift, tf.reduce_sum(log_scale, axis=-1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...)."""
        shift, log_scale = self._decide(z)
        return (z - shift) * tf.exp(-log_scale), -tf.reduce_sum(log_scale, axis=-1)

    def _decide(self, x: Tensor) -> tuple[Tensor, Tensor]:
        zero = tf.zeros((), x.dtype)
        hidden = tf.where(self._moves, zero, x)
        for layer in (*self._layers_of_units, self._output):
            hidden = layer(hidden)
        shift, raw = tf.split(hidden, 2, axis=-1)
        log_scale = self.max_log_scale * tf.tanh(raw / self.max_log_scale)
        return tf.where(self._moves, shift, zero), tf.where(
            self._moves, log_scale, zero
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "dim": self.dim,
            "move_odd": self.move_odd,
            "units": self.units,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "max_log_scale": self.max_log_scale,
        }
