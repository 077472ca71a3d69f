"""A masked autoregressive network."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import MOST_LAYERS, check_number, check_size, check_sizes
from kvae.core.types import Tensor
from kvae.networks.masked_dense import MaskedDense


@keras.saving.register_keras_serializable(package="kvae")
class MADE(keras.layers.Layer):
    """Maps a vector to several others, whose entry d sees only the entries before d.

        output[k][d] = f_kd(x[0], ..., x[d-1]; context)

    The context, if there is one, is seen by all entries.

    Args:
        dim: D, entries of the vector.
        units: width of each hidden layer.
        num_outputs: how many vectors of D entries come out.
        context_dim: entries of the context; 0 if there is none.
        activation: any Keras activation.
        output_gain: variance of the last layer's initial kernel, relative to Glorot's. A
            small one starts a flow close to the identity.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `units` is empty.

    Source: Germain, Gregor, Murray, Larochelle 2015, arXiv:1502.03509.
    """

    def __init__(
        self,
        dim: int,
        units: tuple[int, ...] = (64, 64),
        num_outputs: int = 2,
        context_dim: int = 0,
        *,
        activation: Any = "elu",
        output_gain: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dim = check_size("dim", dim)
        self.units = check_sizes("units", units, "Try (64, 64).")
        self.num_outputs = check_size("num_outputs", num_outputs, most=MOST_LAYERS)
        check_size("context_dim", context_dim, 0)
        check_number("output_gain", output_gain, 0)
        self.context_dim = context_dim
        self.activation = activation
        self.output_gain = output_gain
        # Entry d has degree d + 1. A hidden unit of degree h sees entries up to degree h
        # and is seen by the outputs of the entries above it; degree 0 sees the context.
        entries = tuple(range(1, dim + 1))
        first = 0 if context_dim else min(1, dim - 1)
        count = max(dim - first, 1)
        degrees, options = entries, {"dtype": self.dtype_policy}
        self._hidden = []
        for index, width in enumerate(self.units):
            hidden = tuple(first + unit % count for unit in range(width))
            layer = MaskedDense(degrees, hidden, name=f"hidden_{index}", **options)
            self._hidden.append(layer)
            degrees = hidden
        self._output = MaskedDense(
            degrees,
            entries * num_outputs,
            strict=True,
            gain=output_gain,
            name="output",
            **options,
        )
        self._context: Any = None
        if context_dim:
            self._context = keras.layers.Dense(
                self.units[0], use_bias=False, name="context", **options
            )
            self._context.build((None, context_dim))
        self._activation = keras.activations.get(activation)
        self.built = True

    def call(self, x: Tensor, context: Tensor | None = None) -> list[Tensor]:
        """Maps x (..., D), and a context (B, C), to `num_outputs` tensors (..., D)."""
        hidden = x
        for index, layer in enumerate(self._hidden):
            hidden = layer(hidden)
            if index == 0 and self._context is not None:
                hidden += self._context(context)
            hidden = self._activation(hidden)
        return tf.split(self._output(hidden), self.num_outputs, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "dim": self.dim,
            "units": self.units,
            "num_outputs": self.num_outputs,
            "context_dim": self.context_dim,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "output_gain": self.output_gain,
        }
