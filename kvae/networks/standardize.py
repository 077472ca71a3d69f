"""Standardization, the first layer of an encoder."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.spread import Spread
from kvae.core.types import Tensor
from kvae.maths import maths_dtype


@keras.saving.register_keras_serializable(package="kvae")
class Standardize(keras.layers.Layer):
    """Puts data around 0 with a spread of 1, whatever their units.

        y = (f(x) - loc) / scale,  f(x) = x, or log(1 + x) for counts

    Unlike `keras.layers.Normalization`, it handles spreads below 1e-7, and tells pixels
    from columns in different units without an `axis`. `adapt` measures loc and scale;
    before that, they are 0 and 1. They are saved with the layer and exported.

    Args:
        log1p: take log(1 + x) first: of all entries, or a list of booleans, one for each
            index of the last axis. Negative entries then count as 0.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, log1p: bool | list[bool] = False, **kwargs: Any) -> None:
        # Keras would cast raw data to a half precision before they are near 0.
        super().__init__(**{"autocast": False, **kwargs})
        if not isinstance(log1p, (bool, list, tuple)):
            raise ValueError(
                f"log1p must be a boolean, or a list of booleans; received {log1p!r}."
            )
        self.log1p = log1p if isinstance(log1p, bool) else tuple(map(bool, log1p))

    def build(self, x_shape: tuple[int | None, ...]) -> None:
        """Makes loc and scale, in the shape of one example."""
        options: dict[str, Any] = {
            "shape": x_shape[1:],
            "dtype": maths_dtype(self.compute_dtype),
            "trainable": False,
            "autocast": False,
        }
        self.loc = self.add_weight(name="loc", initializer="zeros", **options)
        self.scale = self.add_weight(name="scale", initializer="ones", **options)
        self.built = True

    def adapt(self, x: Any) -> None:
        """Measures loc and scale, as `keras.layers.Normalization.adapt` does.

        Args:
            x: (N, ...) training examples; NaN where an entry is missing.
        """
        x = np.asarray(x)
        if not self.built:
            self.build((None, *x.shape[1:]))
        spread = Spread.of(x, self._transformed)
        self.loc.assign(np.broadcast_to(spread.loc, self.loc.shape))
        self.scale.assign(np.broadcast_to(spread.scale, self.scale.shape))

    def call(self, x: Tensor) -> Tensor:
        """Returns standardized data, (B, ...), in the compute dtype."""
        x = tf.cast(x, self.loc.dtype)
        if self.log1p:
            logarithm = tf.math.log1p(tf.maximum(x, 0.0))
            # A choice by arithmetic, because `tf.where` leaves LiteRT's accelerated path.
            chosen = tf.cast(self.log1p, x.dtype)
            x = chosen * logarithm + (1.0 - chosen) * x
        standard = (x - self.loc) * (1.0 / self.scale)
        return tf.cast(standard, self.compute_dtype)

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of x."""
        return x_shape

    def __str__(self) -> str:
        """Describes the output in words."""
        if isinstance(self.log1p, tuple):
            return "standardized x, with log(1 + x) of counts"
        return "standardized log(1 + x)" if self.log1p else "standardized x"

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        chosen = self.log1p if isinstance(self.log1p, bool) else list(self.log1p)
        return {**super().get_config(), "log1p": chosen}

    def _transformed(self, x: np.ndarray) -> np.ndarray:
        chosen = np.asarray(self.log1p)
        return np.where(chosen, np.log1p(np.maximum(x, 0.0)), x) if chosen.any() else x
