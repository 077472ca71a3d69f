"""Masks from a mixture of families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.masks.base import MaskFamily


@keras.saving.register_keras_serializable(package="kvae")
class OneOf(MaskFamily):
    """Takes each mask from one of several families, chosen with equal probability.

    Args:
        families: at least one.

    Raises:
        TypeError: if one of them is not a `MaskFamily`.
        ValueError: if `families` is empty.
    """

    def __init__(self, families: Sequence[MaskFamily]) -> None:
        if not isinstance(families, (list, tuple)) or not families:
            raise ValueError(
                f"OneOf expects a list of at least one family; received {families!r}."
            )
        wrong = [f for f in families if not isinstance(f, MaskFamily)]
        if wrong:
            raise TypeError(
                f"OneOf expects objects of kvae.masks, such as Half(); received "
                f"{wrong[0]!r}. masks.as_family makes one from a name."
            )
        self.families = list(families)

    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns one for the choice, plus the largest number that any family needs."""
        return 1 + max(family.num_uniforms(data_shape) for family in self.families)

    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks (B, *data_shape)."""
        count = len(self.families)
        choice = tf.minimum(tf.cast(uniforms[:, 0] * count, tf.int32), count - 1)
        drawn = [
            family.mask(
                uniforms[:, 1 : 1 + family.num_uniforms(data_shape)], data_shape
            )
            for family in self.families
        ]
        return tf.gather(tf.stack(drawn, axis=1), choice, axis=1, batch_dims=1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "families": [keras.saving.serialize_keras_object(f) for f in self.families]
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes a family from `get_config`."""
        families = config["families"]
        return cls([keras.saving.deserialize_keras_object(f) for f in families])

    def __repr__(self) -> str:
        return f"OneOf({self.families!r})"
