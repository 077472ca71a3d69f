"""The condition of a network: its input, and the features that are joined."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_data_shape
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
    if classes is not None:
        check_one_kind(shape, classes)
        label = keras.Input((), name="condition", dtype="int32")
        return label, OneHot(classes)(label)
    if shape is None:
        return None
    if shape != ():  # of a number
        shape = check_data_shape("a network", shape, "condition_shape")
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


def flat_size(
    owner: str,
    shape: tuple[int, ...] | None,
    classes: int | tuple[int, ...] | None,
) -> int:
    """The numbers in a flat condition, 0 if there is none.

    Args:
        owner: class, for messages.
        shape: of one condition that is a vector or an image, or None.
        classes: of a condition that is an integer label, as for `OneHot`, or None.

    Raises:
        ValueError: if both a shape and classes are given, or they are not valid.
    """
    if classes is not None:
        check_one_kind(shape, classes)
        return len(OneHot(classes).labels)
    if shape is None:
        return 0
    if shape != ():  # of a number
        shape = check_data_shape(owner, shape, "condition_shape")
    return math.prod(shape)


def check_one_kind(shape: Any, classes: Any) -> None:
    """Raises if a condition is said to be both a label and an array."""
    if shape not in (None, ()):
        raise ValueError(
            f"a condition is a label, classes={classes!r}, or an array, "
            f"condition_shape={shape!r}; pass only one of them."
        )


def join(features: Any, condition: Any) -> Any:
    """Appends the flat features of a condition to flat features."""
    return keras.layers.Concatenate()([features, condition])
