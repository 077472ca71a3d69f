"""The contract of a family of masks."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_seed
from kvae.core.types import Tensor
from kvae.maths import normal_cdf
from kvae.noise import Noise


class MaskFamily(abc.ABC):
    """A distribution over masks: 1 where an entry is visible, 0 where it is hidden.

    A family has no state. A mask is a pure function of uniform numbers, which come from a
    seed and the position of the example. So you can draw it in a `tf.data` pipeline, in a
    training step, or for an array, and draw the same mask again.

    Subclassing guide: implement `num_uniforms` and `mask`. In `num_uniforms`, raise
    `ValueError` for a data shape that the family can't mask. Return the constructor's
    arguments from `get_config`.
    """

    @abc.abstractmethod
    def num_uniforms(self, data_shape: tuple[int, ...]) -> int:
        """Returns how many uniform numbers the mask of one example needs, at least 0.

        Raises:
            ValueError: if the family can't mask examples of this shape.
        """

    @abc.abstractmethod
    def mask(self, uniforms: Tensor, data_shape: tuple[int, ...]) -> Tensor:
        """Makes masks from uniform numbers.

        Args:
            uniforms: (B, num_uniforms) float32 in [0, 1].
            data_shape: shape of one example.

        Returns:
            mask: (B, *data_shape) float32, zeros and ones.
        """

    def draw(
        self, num: Any, data_shape: tuple[int, ...], seed: Any = 0, first: Any = 0
    ) -> Tensor:
        """Draws the masks of consecutive examples.

        Args:
            num: B, an int or a scalar tensor.
            data_shape: shape of one example.
            seed: an int, or two to include a counter, such as (seed, step).
            first: position of the first example. Mask i depends only on seed and i.

        Returns:
            mask: (B, *data_shape) float32, zeros and ones.

        Raises:
            ValueError: if the family can't mask examples of this shape.
        """
        if isinstance(seed, (tuple, list)):
            seed = tf.stack([tf.cast(word, tf.int32) for word in seed])
        elif not tf.is_tensor(seed) and np.ndim(seed) == 0:
            seed = (check_seed(seed), 0)
        key = tf.cast(seed, tf.int32)
        return self.draw_from(Noise(key, tf.cast(first, tf.int32)), num, data_shape)

    def draw_from(self, noise: Noise, num: Any, data_shape: tuple[int, ...]) -> Tensor:
        """Draws (B, *data_shape) masks with the noise of a pass through the model."""
        shape = tuple(data_shape)
        needed = self.num_uniforms(shape)
        if needed == 0:
            uniforms = tf.zeros(tf.stack([num, 0]))
        else:
            uniforms = normal_cdf(noise.normal(1, num, needed)[0])
        return tf.ensure_shape(self.mask(uniforms, shape), (None, *shape))

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes a family from `get_config`."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MaskFamily)
            and type(other) is type(self)
            and other.get_config() == self.get_config()
        )

    def __hash__(self) -> int:
        return hash((type(self), repr(self.get_config())))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def image_sides(family: str, data_shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns height and width, or raises ValueError if examples aren't images."""
    if len(data_shape) not in (2, 3):
        raise ValueError(
            f"{family} hides parts of images, (H, W) or (H, W, C); received examples of "
            f"shape {tuple(data_shape)}. RandomEntries takes any shape."
        )
    return data_shape[0], data_shape[1]


def over_channels(plane: Tensor, data_shape: tuple[int, ...]) -> Tensor:
    """Gives every channel the mask of its pixel: (B, H, W) to (B, H, W, C)."""
    plane = tf.cast(plane, tf.float32)
    if len(data_shape) == 2:
        return plane
    return tf.repeat(plane[..., None], data_shape[-1], axis=-1)
