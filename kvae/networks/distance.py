"""The contract of a distance between pictures."""

from __future__ import annotations

import abc
from typing import Any

import keras

from kvae.core.types import Tensor


class Distance(keras.layers.Layer, abc.ABC):
    """How far apart two pictures look, for `objectives.Perceptual` and evaluation.

    Subclassing guide: implement `call`. Override `prepare` to check or to build what
    depends on the shape, and `adapt` to start from the training data.

    Args:
        **kwargs: passed to `keras.layers.Layer`.
    """

    metric: str = "perceptual"
    """The name under which an objective reports it."""

    def prepare(self, data_shape: tuple[int, ...]) -> None:
        """Checks that it takes examples of a shape, and makes what depends on it."""

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Sees the training data, (N, *data_shape), once before training."""

    @abc.abstractmethod
    def call(self, a: Tensor, b: Tensor) -> Tensor:
        """Compares examples (B, *data_shape) in pairs: (B,), 0 where they are equal."""
