"""Masks from a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_count
from kvae.core.types import Tensor
from kvae.masks.base import MaskFamily


@keras.saving.register_keras_serializable(package="kvae")
class FromFunction(MaskFamily):
    """Masks that a user's function makes.

    Args:
        function: takes uniforms (B, num_uniforms) in [0, 1] and the shape of one example
            and returns masks (B, *data_shape), 1 where visible, with TensorFlow's
            operations. To save a model that holds it, register it with
            `keras.saving.register_keras_serializable`.
        uniforms: how many uniform numbers each mask needs.

    Raises:
        TypeError: if `function` cannot be called.
        ValueError: if `uniforms` is negative.
    """

    def __init__(self, function: Callable[..., Tensor], uniforms: int = 1) -> None:
        if not callable(function):
            raise TypeError(f"FromFunction expects a function; received {function!r}.")
        if not is_count(uniforms, 0):
            raise ValueError(
                f"FromFunction expects uniforms to be at least 0; received {uniforms!r}."
            )
        self.function = function
        self.uniforms = uniforms

    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns the `uniforms` of the constructor."""
        del data_shape
        return self.uniforms

    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks (B, *data_shape)."""
        made = tf.cast(self.function(uniforms, data_shape), tf.float32)
        if not made.shape.is_compatible_with((None, *data_shape)):
            raise ValueError(
                f"the mask function must return the shape {('B', *data_shape)}; received "
                f"{made.shape}."
            )
        return made

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        function = keras.saving.serialize_keras_object(self.function)
        return {"function": function, "uniforms": self.uniforms}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes a family from `get_config`."""
        function = keras.saving.deserialize_keras_object(config["function"])
        return cls(function, config["uniforms"])

    def __repr__(self) -> str:
        return f"FromFunction({self.function!r}, uniforms={self.uniforms})"
