"""One step of several optimizers, each with variables of its own."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.types import Tensor
from kvae.fitting.replicas import whole_gradients


def apply_gradients(
    groups: list[tuple[Any, list[Any]]], gradients: list[list[Tensor]]
) -> None:
    """Applies the gradients of one loss.

    Args:
        groups: optimizers, each with its variables.
        gradients: of the loss that the first optimizer's `scale_loss` gives, as many.
    """
    first, _ = groups[0]
    scale = first.scale_loss(1.0)  # before the step, which may change it
    for (optimizer, variables), given in zip(groups, gradients, strict=True):
        if optimizer is not first:
            factor = optimizer.scale_loss(1.0) / scale
            given = [None if g is None else _scaled(g, factor) for g in given]
        optimizer.apply(whole_gradients(given, optimizer), variables)


def _scaled(gradient: Tensor, factor: Any) -> Tensor:
    dense = tf.convert_to_tensor(gradient)  # that of an embedding is a list of rows
    return dense * tf.cast(factor, dense.dtype)
