"""The velocity network of a flow over time."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class VelocityNetwork(keras.layers.Layer):
    """A residual network v(z, t) with the shape of z.

    Vectors go through dense layers, and latents of shape (h, w, c) through 3x3
    convolutions. Time enters every block as features sin(w t), cos(w t). The last layer
    starts at zero, so the untrained flow moves nothing.

    Args:
        shape: of z, (D,) or (h, w, c).
        width: units, or channels, of each layer.
        num_blocks: residual blocks of two layers each.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 256,
        num_blocks: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.width = width
        self.num_blocks = num_blocks
        names = range(num_blocks)
        self._enter = self._linear(width, "enter")
        self._times = [self._dense(width, f"time_{i}") for i in names]
        # Layer normalization stops a gradient inside, which spoils second derivatives,
        # and a density computed from a divergence needs them.
        self._norms = [
            keras.layers.RMSNormalization(name=f"norm_{i}", dtype=self.dtype_policy)
            for i in names
        ]
        self._first = [self._linear(width, f"first_{i}") for i in names]
        self._second = [self._linear(width, f"second_{i}") for i in names]
        self._leave = self._linear(self.shape[-1], "leave", kernel_initializer="zeros")
        # From one turn over the whole time to many, as positions are written elsewhere.
        self._frequencies = (math.pi * np.geomspace(0.5, 16.0, 16)).astype("float32")

    def _dense(self, units: int, name: str, **options: Any) -> Any:
        return keras.layers.Dense(units, name=name, dtype=self.dtype_policy, **options)

    def _linear(self, units: int, name: str, **options: Any) -> Any:
        if len(self.shape) == 1:
            return self._dense(units, name, **options)
        return keras.layers.Conv2D(
            units, 3, padding="same", name=name, dtype=self.dtype_policy, **options
        )

    def build(self, input_shape: Any = None) -> None:
        """Builds every layer."""
        z, wide = (None, *self.shape), (None, *self.shape[:-1], self.width)
        self._enter.build(z)
        for layer in (*self._norms, *self._first, *self._second, self._leave):
            layer.build(wide)
        for layer in self._times:
            layer.build((None, 2 * len(self._frequencies)))
        self.built = True

    def call(self, z: Tensor, time: Tensor) -> Tensor:
        """Computes the velocity.

        Args:
            z: (B, *shape).
            time: (B,), from 0 to 1.

        Returns:
            velocity: (B, *shape).
        """
        angles = keras.ops.expand_dims(time, -1) * self._frequencies
        features = keras.ops.concatenate(
            [keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1
        )
        hidden = self._enter(z)
        layers = zip(self._norms, self._times, self._first, self._second, strict=True)
        for norm, embed, first, second in layers:
            moment = embed(features)
            if len(self.shape) > 1:
                moment = keras.ops.reshape(moment, (-1, 1, 1, self.width))
            inner = first(keras.ops.silu(norm(hidden) + moment))
            hidden = hidden + second(keras.ops.silu(inner))
        return self._leave(keras.ops.silu(hidden))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "shape": self.shape,
            "width": self.width,
            "num_blocks": self.num_blocks,
        }
