"""The network of a flow over time for latents that are maps."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.types import Tensor
from kvae.networks.depth_to_space import DepthToSpace
from kvae.networks.icnr import ICNR
from kvae.networks.self_attention import SelfAttention
from kvae.networks.velocity_network import TIME_FEATURES, time_features

_SMALL = 8  # maps are halved while both sides are even and at least this long
_GROWTH = 4  # the channels of the smallest maps, at most, over those of the largest


@keras.saving.register_keras_serializable(package="kvae")
class VelocityUNet(keras.layers.Layer):
    """A U-Net v(z, t) for latents of shape (h, w, c).

    Maps are halved while both sides are even and at least 8, so 16x16 and 32x32 to 4x4.
    In the smallest, places look at one another. Then maps are doubled again, and each
    level adds what it held on the way down. A residual block is

        y + conv3x3(silu(conv3x3(silu(norm(y))) + time))

    A learned bias for each place and channel tells the network where it is. The last
    layer starts at zero, so the untrained flow moves nothing.

    Args:
        shape: (h, w, c) of z.
        width: channels of the largest maps; they double with each level, up to four times.
        num_blocks: residual blocks of each level, on the way down and again on the way up.
        **kwargs: passed to `keras.layers.Layer`.

    Source: Ronneberger et al. 2015, arXiv:1505.04597; with time and attention, Ho et al.
        2020, arXiv:2006.11239, appendix B.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 64,
        num_blocks: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.width = width
        self.num_blocks = num_blocks
        height, across, channels = self.shape
        self._maps = [(height, across, width)]
        while min(height, across) >= _SMALL and not (height % 2 or across % 2):
            height, across = height // 2, across // 2
            wide = min(2 * self._maps[-1][-1], _GROWTH * width)
            self._maps.append((height, across, wide))
        levels = range(len(self._maps))
        self._enter = self._convolution(width, "enter")
        self._down = [self._blocks(level, "down") for level in levels]
        self._up = [self._blocks(level, "up") for level in levels]
        self._halve = [
            self._convolution(self._maps[level][-1], f"halve_{level}", 2, strides=2)
            for level in levels[1:]
        ]
        self._double = [
            self._convolution(
                4 * self._maps[level - 1][-1],
                f"double_{level}",
                1,
                kernel_initializer=ICNR(2),
            )
            for level in levels[1:]
        ]
        self._spread = DepthToSpace(2, dtype=self.dtype_policy)
        self._attention = SelfAttention(
            "zeros", name="attention", dtype=self.dtype_policy
        )
        self._leave = self._convolution(channels, "leave", kernel_initializer="zeros")

    def _convolution(
        self, channels: int, name: str, size: int = 3, **options: Any
    ) -> Any:
        return keras.layers.Conv2D(
            channels,
            size,
            padding="same",
            name=name,
            dtype=self.dtype_policy,
            **options,
        )

    def _blocks(self, level: int, way: str) -> list[_Block]:
        return [
            _Block(
                self._maps[level][-1],
                name=f"{way}_{level}_{index}",
                dtype=self.dtype_policy,
            )
            for index in range(self.num_blocks)
        ]

    def build(self, input_shape: Any = None) -> None:
        """Builds every layer."""
        largest, smallest = self._maps[0], self._maps[-1]
        self._places = self.add_weight(
            name="places", shape=largest, initializer="zeros"
        )
        self._enter.build((None, *self.shape))
        for maps, down, up in zip(self._maps, self._down, self._up, strict=True):
            for block in (*down, *up):
                block.build((None, *maps))
        for level, (halve, double) in enumerate(
            zip(self._halve, self._double, strict=True)
        ):
            halve.build((None, *self._maps[level]))
            double.build((None, *self._maps[level + 1]))
        self._attention.build((None, *smallest))
        self._leave.build((None, *largest))
        self.built = True

    def call(self, z: Tensor, time: Tensor) -> Tensor:
        """Computes the velocity.

        Args:
            z: (B, *shape).
            time: (B,), from 0 to 1.

        Returns:
            velocity: (B, *shape).
        """
        moment = time_features(time)
        hidden = self._enter(z) + self._places
        held = []
        for level, blocks in enumerate(self._down):
            if level:
                hidden = self._halve[level - 1](hidden)
            for block in blocks:
                hidden = block(hidden, moment)
            held.append(hidden)
        hidden = self._attention(hidden)
        for level, blocks in reversed(list(enumerate(self._up))):
            for block in blocks:
                hidden = block(hidden, moment)
            if level:
                doubled = self._spread(self._double[level - 1](hidden))
                hidden = doubled + held[level - 1]
        return self._leave(keras.ops.silu(hidden))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "shape": self.shape,
            "width": self.width,
            "num_blocks": self.num_blocks,
        }


class _Block(keras.layers.Layer):
    """A residual block that knows the time."""

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Not layer normalization: see `VelocityNetwork`.
        self._norm = keras.layers.RMSNormalization(name="norm", dtype=self.dtype_policy)
        self._first, self._second = (
            keras.layers.Conv2D(
                channels, 3, padding="same", name=name, dtype=self.dtype_policy
            )
            for name in ("first", "second")
        )
        self._time = keras.layers.Dense(channels, name="time", dtype=self.dtype_policy)
        self._channels = channels

    def build(self, input_shape: Any) -> None:
        for layer in (self._norm, self._first, self._second):
            layer.build(input_shape)
        self._time.build((None, TIME_FEATURES))
        self.built = True

    def call(self, hidden: Tensor, moment: Tensor) -> Tensor:
        shift = keras.ops.reshape(self._time(moment), (-1, 1, 1, self._channels))
        inner = self._first(keras.ops.silu(self._norm(hidden))) + shift
        return hidden + self._second(keras.ops.silu(inner))
