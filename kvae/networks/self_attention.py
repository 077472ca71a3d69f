"""Attention between the positions of a feature map."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class SelfAttention(keras.layers.Layer):
    """Adds to each position of a feature map a weighted sum over all positions.

        y = x + W_o softmax(Q K^T / sqrt(C)) V,    Q, K, V = W_q x, W_k x, W_v x

    One head; the four maps are 1x1 convolutions to the C channels of x. Time and memory
    grow with the square of the number of positions, H * W.

    Args:
        output_initializer: of W_o; any Keras initializer.
        **kwargs: passed to `keras.layers.Layer`.

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """

    def __init__(self, output_initializer: Any = "lecun_normal", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_initializer = keras.initializers.get(output_initializer)

    def build(self, x_shape: tuple[int | None, ...]) -> None:
        """Builds the four maps for (B, H, W, C)."""
        self._query, self._key, self._value = (
            self._map(name, x_shape) for name in ("query", "key", "value")
        )
        self._output = self._map(
            "output", x_shape, kernel_initializer=self.output_initializer
        )
        self.built = True

    def _map(self, name: str, x_shape: tuple[int | None, ...], **options: Any) -> Any:
        layer = keras.layers.Conv2D(
            x_shape[-1], 1, name=name, dtype=self.dtype_policy, **options
        )
        layer.build(x_shape)
        return layer

    def call(self, x: Tensor) -> Tensor:
        """Maps (B, H, W, C) to the same shape."""
        _, height, width, channels = x.shape
        # A literal -1 stays on LiteRT's accelerated path, as in `Unflatten`.
        query, key, value = (
            tf.reshape(layer(x), (-1, height * width, channels))
            for layer in (self._query, self._key, self._value)
        )
        scores = tf.matmul(query, key, transpose_b=True) * channels**-0.5
        read = tf.matmul(tf.nn.softmax(scores), value)
        return x + self._output(tf.reshape(read, (-1, height, width, channels)))

    def compute_output_shape(
        self, x_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of x."""
        return x_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        start = keras.initializers.serialize(self.output_initializer)
        return {**super().get_config(), "output_initializer": start}
