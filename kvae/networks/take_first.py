"""Keeps the latents of the lowest level."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_size
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class TakeFirst(keras.layers.Layer):
    """Keeps the first entries of a vector.

    At the start of a decoder it makes p(x|z) depend on the lowest level of a hierarchy
    alone, as in the ladder VAE.

    Args:
        count: entries to keep.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = check_size("count", count)

    def call(self, x: Tensor) -> Tensor:
        """Cuts (B, D) to (B, count)."""
        return x[:, : self.count]

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, count)."""
        return (x_shape[0], self.count)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "count": self.count}
