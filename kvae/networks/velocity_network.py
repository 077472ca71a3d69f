"""The velocity network of a flow over time."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from kvae.core.types import Tensor

_FREQUENCIES = (math.pi * np.geomspace(0.5, 16.0, 16)).astype("float32")
TIME_FEATURES = 2 * len(_FREQUENCIES)


def time_features(time: Tensor) -> Tensor:
    """Computes sin(w t) and cos(w t) of times (B,) for 16 frequencies w: (B, 32).

    From half a turn over the whole time to 8 turns, as transformers write positions.
    """
    angles = keras.ops.expand_dims(time, -1) * _FREQUENCIES
    return keras.ops.concatenate(
        [keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1
    )


@keras.saving.register_keras_serializable(package="kvae")
class VelocityNetwork(keras.layers.Layer):
    """A residual network v(z, t) of dense layers, for latents that are vectors.

    Time enters every block as `time_features`. The last layer starts at zero, so the
    untrained flow moves nothing.

    Args:
        shape: (D,) of z.
        width: units of each layer.
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
        self._enter = self._dense(width, "enter")
        self._times = [self._dense(width, f"time_{i}") for i in names]
        # Layer normalization stops a gradient inside, which spoils second derivatives,
        # and a density computed from a divergence needs them.
        self._norms = [
            keras.layers.RMSNormalization(name=f"norm_{i}", dtype=self.dtype_policy)
            for i in names
        ]
        self._first = [self._dense(width, f"first_{i}") for i in names]
        self._second = [self._dense(width, f"second_{i}") for i in names]
        self._leave = self._dense(self.shape[-1], "leave", kernel_initializer="zeros")

    def _dense(self, units: int, name: str, **options: Any) -> Any:
        return keras.layers.Dense(units, name=name, dtype=self.dtype_policy, **options)

    def build(self, input_shape: Any = None) -> None:
        """Builds every layer."""
        wide = (None, self.width)
        self._enter.build((None, *self.shape))
        for layer in (*self._norms, *self._first, *self._second, self._leave):
            layer.build(wide)
        for layer in self._times:
            layer.build((None, TIME_FEATURES))
        self.built = True

    def call(self, z: Tensor, time: Tensor) -> Tensor:
        """Computes the velocity.

        Args:
            z: (B, *shape).
            time: (B,), from 0 to 1.

        Returns:
            velocity: (B, *shape).
        """
        features = time_features(time)
        hidden = self._enter(z)
        layers = zip(self._norms, self._times, self._first, self._second, strict=True)
        for norm, embed, first, second in layers:
            inner = first(keras.ops.silu(norm(hidden) + embed(features)))
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
