"""Standardization of the visible part of an example."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_data_shape
from kvae.core.types import Tensor
from kvae.networks.standardize import Standardize


@keras.saving.register_keras_serializable(package="kvae")
class StandardizeVisible(keras.layers.Layer):
    """Puts visible entries around 0 with a spread of 1; hidden ones stay 0.

        y = mask (x - loc) / scale, and the mask

    Args:
        data_shape: shape of one example.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, data_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.data_shape = check_data_shape("StandardizeVisible", data_shape)
        self._standardize = Standardize(dtype=self.dtype_policy)
        self._standardize.build((None, *self.data_shape))

    def adapt(self, x: Any) -> None:
        """Measures loc and scale.

        Args:
            x: (N, *data_shape) training examples; NaN where an entry is missing.
        """
        self._standardize.adapt(x)

    def call(self, visible: Tensor) -> Tensor:
        """Takes and returns what `kvae.masks.visible_part` makes."""
        if len(self.data_shape) == 2:  # such a part has x and mask along a new axis
            x, mask = visible[..., 0], visible[..., 1]
        else:
            x, mask = tf.split(visible, 2, axis=-1)
        standard = self._standardize(x)
        mask = tf.cast(mask, standard.dtype)
        join = tf.stack if len(self.data_shape) == 2 else tf.concat
        return join([mask * standard, mask], axis=-1)

    def compute_output_shape(
        self, visible_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of the visible part."""
        return visible_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "data_shape": self.data_shape}
