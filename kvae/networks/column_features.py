"""The columns of a table as features, the first layer of an encoder."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import MOST_UNITS, is_count
from kvae.core.types import Tensor
from kvae.networks.standardize import Standardize


@keras.saving.register_keras_serializable(package="kvae")
class ColumnFeatures(keras.layers.Layer):
    """Standardizes the numbers of a table, and makes one-hot vectors of its levels.

        y = [(x[c] - loc[c]) / scale[c] for numbers c, x[c] == 0 .. n[c] - 1 for others]

    Level numbers have no order, so a network can't read them as quantities. A level
    outside the range, such as -1 for a missing one, gives zeros. The `Standardize`
    layer inside is adapted as if it were alone.

    Args:
        levels: one integer per column: how many levels it has, or 0 for a number.
        log1p: as of `Standardize`.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `levels` is not such a list.
    """

    def __init__(
        self, levels: list[int], log1p: bool | list[bool] = False, **kwargs: Any
    ) -> None:
        # A half precision could not tell large level numbers apart.
        super().__init__(**{"autocast": False, **kwargs})
        fits = isinstance(levels, (list, tuple)) and len(levels) > 0
        if not fits or not all(is_count(n, 0) and n <= MOST_UNITS for n in levels):
            raise ValueError(
                "ColumnFeatures expects a list with one integer per column, its number of "
                f"levels or 0; received {levels!r}."
            )
        self.levels = tuple(map(int, levels))
        self.log1p = log1p
        self.standardize = Standardize(log1p, dtype=self.dtype_policy)
        counts = [max(1, n) for n in self.levels]
        self._column = np.repeat(np.arange(len(counts)), counts).astype("int32")
        numbers = np.repeat([n == 0 for n in self.levels], counts)
        self._number = numbers.astype("float32")
        self._level = np.concatenate([np.arange(n) for n in counts]).astype("float32")

    def build(self, x_shape: tuple[int | None, ...]) -> None:
        """Builds the standardizing layer."""
        if not self.standardize.built:
            self.standardize.build(x_shape)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        """Maps rows (B, C) to features (B, numbers + levels), in the compute dtype."""
        standard = tf.gather(self.standardize(x), self._column, axis=-1)
        raw = tf.gather(tf.cast(x, "float32"), self._column, axis=-1)
        hit = tf.cast(tf.equal(raw, self._level), standard.dtype)
        # A choice by arithmetic, because `tf.where` leaves LiteRT's accelerated path.
        number = tf.cast(self._number, standard.dtype)
        return number * standard + (1.0 - number) * hit

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, numbers + levels)."""
        return (x_shape[0], len(self._column))

    def __str__(self) -> str:
        """Describes the output in words."""
        return f"{self.standardize} and one-hot levels"

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "levels": list(self.levels),
            "log1p": self.standardize.get_config()["log1p"],
        }
