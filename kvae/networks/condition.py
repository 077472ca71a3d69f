"""The condition of a network: its input, and the features that are joined."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_data_shape
from kvae.core.types import Tensor
from kvae.networks.one_hot import OneHot
from kvae.networks.unflatten import Unflatten


def condition_input(
    shape: tuple[int, ...] | None,
    classes: int | tuple[int, ...] | None,
    activation: Any = None,
    convolve: bool = False,
) -> tuple[Any, Any] | None:
    """Makes the input named "condition" and flat features of it.

    Labels become one-hot vectors and vectors stay as they are; the dense layer that
    follows is their embedding. Images are flattened. If the network convolves, separate
    convolutions halve them twice first.

    Args:
        shape: of one condition that is a vector or an image, or None.
        classes: of a condition that is an integer label, as for `OneHot`, or None.
        activation: of the convolutions.
        convolve: read images with convolutions.

    Returns:
        pair: the Keras input and its features (B, F); None if there is no condition.

    Raises:
        ValueError: if both a shape and classes are given.
    """
    shape = check_condition_shape("a network", shape, classes)
    if classes is not None:
        label = keras.Input((), name="condition", dtype="int32")
        return label, OneHot(classes)(label)
    if shape is None:
        return None
    condition = keras.Input(tuple(shape), name="condition")
    hidden = condition
    if convolve and len(shape) in (2, 3):
        if len(shape) == 2:
            hidden = Unflatten((*shape, 1))(hidden)
        for filters in (16, 32):
            hidden = keras.layers.Conv2D(filters, 4, 2, "same", activation=activation)(
                hidden
            )
    return condition, Unflatten((math.prod(hidden.shape[1:]),))(hidden)


def check_condition_shape(owner: str, shape: Any, classes: Any) -> Any:
    """Returns the shape of a condition that is not a label, or None.

    Args:
        owner: what takes the condition, for messages.
        shape: of one condition that is a vector or an image, () of a number, or None.
        classes: of a condition that is an integer label, as for `OneHot`, or None.

    Raises:
        ValueError: if both are given, or the shape is not valid.
    """
    if classes is not None and shape not in (None, ()):
        raise ValueError(
            f"a condition is a label, classes={classes!r}, or an array, "
            f"condition_shape={shape!r}; pass only one of them."
        )
    if classes is not None or shape is None or shape == ():
        return shape
    return check_data_shape(owner, shape, "condition_shape")


def check_condition_given(owner: str, condition: Any) -> None:
    """Raises if the condition is missing that a part needs."""
    if condition is None:
        raise ValueError(
            f"{owner} needs a condition; received None. Pass it with the data, "
            'fit({"x": x, "condition": c}), and sample(num, condition=c).'
        )


def condition_rows(condition: Tensor, value: Tensor) -> Tensor:
    """Gives each row of a value (..., B, D) its condition of (B, ...): (rows, ...)."""
    if len(value.shape) == 2:
        return condition
    tail = condition.shape[1:].as_list()
    shape = tf.concat([tf.shape(value)[:-1], tf.constant(tail, tf.int32)], axis=0)
    return tf.reshape(tf.broadcast_to(condition, shape), (-1, *tail))


def join(features: Any, condition: Any) -> Any:
    """Appends the flat features of a condition to flat features."""
    return keras.layers.Concatenate()([features, condition])
