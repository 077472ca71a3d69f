"""The block of deep convolutional models."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_number, check_size
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class Bottleneck(keras.layers.Layer):
    """Convolutions through a few channels, for a residual path.

        f(h) = conv1x1(act(conv(act(conv1x1(act(h))))))

    The convolution in the middle is where positions meet, and it is on the few channels.
    The block that uses this layer adds h itself.

    Args:
        channels: of the result.
        hidden: channels of the maps in between.
        kernel_size: of the convolution in the middle, 3 or 1.
        activation: any Keras activation.
        last_scale: variance of the last convolution's kernel times its inputs. N blocks
            with 1/N together add about as much as bypasses them; 0 starts at zero.
        **kwargs: passed to `keras.layers.Layer`.

    Source: He et al. 2016, arXiv:1603.05027, figure 4(e), without normalization; the
        last convolution started small as in Child 2020, arXiv:2011.10650.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        kernel_size: int = 3,
        activation: Any = "silu",
        *,
        last_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = check_size("channels", channels)
        self.hidden = check_size("hidden", hidden)
        self.kernel_size = check_size("kernel_size", kernel_size)
        self.activation = activation
        self.last_scale = check_number("last_scale", last_scale, 0.0)
        self._act = keras.activations.get(activation)
        start = (
            keras.initializers.VarianceScaling(last_scale) if last_scale else "zeros"
        )
        self._convolutions = [
            keras.layers.Conv2D(
                hidden, 1, kernel_initializer="he_normal", dtype=self.dtype_policy
            ),
            keras.layers.Conv2D(
                hidden,
                kernel_size,
                padding="same",
                kernel_initializer="he_normal",
                dtype=self.dtype_policy,
            ),
            keras.layers.Conv2D(
                channels, 1, kernel_initializer=start, dtype=self.dtype_policy
            ),
        ]

    def build(self, h_shape: tuple[int | None, ...]) -> None:
        """Builds the convolutions for maps of this shape."""
        width = h_shape[-1]
        for layer in self._convolutions:
            layer.build((*h_shape[:-1], width))
            width = layer.filters
        self.built = True

    def call(self, h: Tensor) -> Tensor:
        """Maps (B, h, w, C) to (B, h, w, channels)."""
        for layer in self._convolutions:
            h = layer(self._act(h))
        return h

    def compute_output_shape(
        self, h_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, h, w, channels)."""
        return (*h_shape[:-1], self.channels)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "channels": self.channels,
            "hidden": self.hidden,
            "kernel_size": self.kernel_size,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "last_scale": self.last_scale,
        }
