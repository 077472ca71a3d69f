"""Upsampling of a map to any larger size."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_size, check_sizes
from kvae.core.types import Tensor
from kvae.networks.crop import Crop
from kvae.networks.depth_to_space import DepthToSpace
from kvae.networks.icnr import ICNR
from kvae.networks.map_levels import growth


@keras.saving.register_keras_serializable(package="kvae")
class Grow(keras.layers.Layer):
    """Makes a larger map: a convolution, `DepthToSpace`, and a crop.

    It starts as nearest-neighbor upsampling (`ICNR`), and learns what each of the new
    positions makes of the old one.

    Args:
        channels: of the result.
        size: height and width of the result.
        **kwargs: passed to `keras.layers.Layer`.
    """

    def __init__(self, channels: int, size: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = check_size("channels", channels)
        self.size = check_sizes("size", size)
        self._convolution: Any = None
        self._shuffle: Any = None
        self._crop: Any = None

    def build(self, h_shape: tuple[int | None, ...]) -> None:
        """Chooses the factor for maps of this shape."""
        small: Any = tuple(h_shape[1:3])
        rate = growth(small, (self.size[0], self.size[1]))
        self._convolution = keras.layers.Conv2D(
            rate**2 * self.channels,
            1,
            kernel_initializer=ICNR(rate),
            dtype=self.dtype_policy,
        )
        self._convolution.build(h_shape)
        if rate > 1:
            self._shuffle = DepthToSpace(rate, dtype=self.dtype_policy)
        if (small[0] * rate, small[1] * rate) != self.size:
            self._crop = Crop(*self.size, dtype=self.dtype_policy)
        self.built = True

    def call(self, h: Tensor) -> Tensor:
        """Maps (B, h, w, C) to (B, *size, channels)."""
        h = self._convolution(h)
        h = h if self._shuffle is None else self._shuffle(h)
        return h if self._crop is None else self._crop(h)

    def compute_output_shape(
        self, h_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, *size, channels)."""
        return (h_shape[0], *self.size, self.channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "channels": self.channels, "size": self.size}
