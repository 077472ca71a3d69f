"""Control of gradients: constant layers and scaled gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor


def stopped(layer: keras.layers.Layer) -> Any:
    """Makes a context in which a layer's weights are constants for the gradient.

    It affects only calls inside the context. The gradient with respect to their inputs
    still flows.

    Args:
        layer: the layer whose trainable weights are constant.

    Returns:
        scope: a context manager.
    """
    return keras.StatelessScope(
        [(v, tf.stop_gradient(v.value)) for v in layer.trainable_variables]
    )


def scale_gradient(tensor: Tensor, factor: Callable[[], Tensor]) -> Tensor:
    """Returns a tensor unchanged, but multiplies its gradient.

    Args:
        tensor: (K, B, D).
        factor: returns the factor, (K, B), when the gradient is computed. So it may
            depend on what is computed from the tensor later in the same pass.

    Returns:
        tensor: the same values.
    """

    @tf.custom_gradient
    def identity(value: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        def backward(upstream: Tensor) -> Tensor:
            return upstream * factor()[..., None]

        return tf.identity(value), backward

    return identity(tensor)
