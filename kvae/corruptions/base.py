"""The contract of noise that is injected in training."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf

from kvae.core.part import Part
from kvae.core.types import Tensor


class Corruption(Part):
    """Noise on what the encoder sees in training: q(z|x~), x~ a corrupted x.

    The target stays clean: the likelihood is that of x, so the model learns to denoise.
    Any q gives a lower bound on log p(x), so for each x~ the loss still is one.
    Evaluation, sampling and export never corrupt.

    Subclassing guide: give `call`, a function of x and the key alone, so that a training
    run can be repeated to the bit.

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
            key: (2,) int32, a new one at each step; same key, same noise.

        Returns:
            x: corrupted, same shape and dtype.
        """

    def check_rate(self, rate: float) -> float:
        """Returns a probability, or raises ValueError if it is none."""
        if not 0 <= rate <= 1:
            raise ValueError(
                f"{type(self).__name__} expects rate from 0 to 1; received {rate!r}."
            )
        return rate


def uniform(shape: Any, key: Tensor) -> Tensor:
    """Draws float32 numbers from [0, 1) that depend on the key alone."""
    return tf.random.stateless_uniform(shape, key)
