"""The contract of noise on the encoder's input in training."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.part import Part
from kvae.core.types import Tensor


class Corruption(Part):
    """Noise on what the encoder sees in training: q(z|x~), where x~ is a corrupted x.

    The target stays clean: the likelihood is that of x, so the model learns to denoise.
    Any q gives a lower bound on log p(x), so for each x~ the loss is still a bound.
    Evaluation, sampling, and export never corrupt.

    Subclassing guide: implement `call` as a function of only x and the key, so that a
    training run can be repeated bit for bit.

    Source: Im, Ahn, Memisevic, Bengio 2017, "Denoising criterion for variational
        auto-encoding framework", arXiv:1511.06406.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("autocast", False)  # x comes in the dtype of densities
        super().__init__(**kwargs)

    @abc.abstractmethod
    def call(self, x: Tensor, key: Tensor) -> Tensor:
        """Corrupts a batch.

        Args:
            x: (B, *data_shape) floats.
            key: (2,) int32, a new one at each step. The same key gives the same noise.

        Returns:
            x: corrupted, same shape and dtype.
        """

    def check_rate(self, rate: float) -> float:
        """Returns a probability, or raises ValueError if it is out of range."""
        if not (is_number(rate) and 0 <= rate <= 1):
            raise ValueError(
                f"{type(self).__name__} expects rate from 0 to 1; received {rate!r}."
            )
        return rate


def uniform(shape: Any, key: Tensor) -> Tensor:
    """Draws float32 numbers from [0, 1) that depend only on the key."""
    return tf.random.stateless_uniform(shape, key)
