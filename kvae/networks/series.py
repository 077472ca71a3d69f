"""Convolutional networks for series: steps in order, each with some features."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_data_shape, check_layer, check_size, check_sizes
from kvae.networks.condition import condition_input, join
from kvae.networks.crop import Crop
from kvae.networks.unflatten import Unflatten


def series_encoder(
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 64),
    units: int = 256,
    activation: Any = "gelu",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
    preprocess: Any = None,
    with_mask: bool = False,
) -> keras.Model:
    """Builds an encoder that halves the number of steps once per entry of `filters`.

    Args:
        data_shape: (T, F) of one series, T steps of F features; (T,) has one feature.
        filters: channels after each halving.
        units: width of the dense layer at the end, the features.
        activation: any Keras activation.
        condition_shape: of one condition, joined before the dense layer, or None.
        classes: of a condition that is an integer label, joined as a one-hot vector: the
            labels, or a number n for 0 .. n-1.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.
        with_mask: has an input "mask" too, 1 where x is observed.

    Returns:
        network: a functional Keras model from (B, *data_shape) to (B, units). With a
            condition or a mask its inputs are a dict of "x", "condition", "mask".

    Raises:
        ValueError: if `data_shape` is not that of a series, or `filters` is empty.
    """
    steps, features = series_shape(data_shape)
    filters = check_sizes("filters", filters, "Try (32, 64).")
    check_size("units", units)
    check_layer("preprocess", preprocess)
    x = keras.Input(tuple(data_shape), name="x")
    hidden = x if preprocess is None else preprocess(x)
    hidden = Unflatten((steps, features))(hidden)
    inputs: dict[str, Any] = {"x": x}
    if with_mask:
        inputs["mask"], hidden = joined_mask(hidden, data_shape)
    hidden = Unflatten((steps, 1, hidden.shape[-1]))(hidden)
    for count in filters:
        hidden = along_steps(count, 4, activation, stride=2)(hidden)
    hidden = Unflatten((math.prod(hidden.shape[1:]),))(hidden)
    given = condition_input(condition_shape, classes)
    if given is not None:
        inputs["condition"] = given[0]
        hidden = join(hidden, given[1])
    hidden = keras.layers.Dense(units, activation)(hidden)
    return keras.Model(inputs if len(inputs) > 1 else x, hidden, name="encoder")


def series_decoder(
    latent_dim: int,
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] = (64, 32, 32),
    units: int = 256,
    activation: Any = "gelu",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
) -> keras.Model:
    """Builds a decoder that doubles a few steps up to the length of the series.

    The features keep the steps, so the head of a likelihood is one small map that all
    steps share.

    Args:
        latent_dim: D, the number of latent dimensions.
        data_shape: (T, F) of one series, T steps of F features; (T,) has one feature.
        filters: channels of the shortest series, then after each doubling.
        units: width of the dense layer at the start.
        activation: any Keras activation.
        condition_shape: of one condition, joined to the latents, or None.
        classes: of a condition that is an integer label, joined as a one-hot vector: the
            labels, or a number n for 0 .. n-1.

    Returns:
        network: a functional Keras model from (B, latent_dim) to (B, T, filters[-1]).
            With a condition its inputs are a dict of "z" and "condition".

    Raises:
        ValueError: if `data_shape` is not that of a series, or `filters` is empty.
    """
    check_size("latent_dim", latent_dim)
    steps, _ = series_shape(data_shape)
    filters = check_sizes("filters", filters, "Try (64, 32).")
    check_size("units", units)
    factor = 2 ** (len(filters) - 1)
    rows = math.ceil(steps / factor)
    z = keras.Input((latent_dim,), name="z")
    inputs: Any = z
    hidden = z
    given = condition_input(condition_shape, classes)
    if given is not None:
        inputs = {"z": z, "condition": given[0]}
        hidden = join(hidden, given[1])
    hidden = keras.layers.Dense(units, activation)(hidden)
    hidden = keras.layers.Dense(rows * filters[0], activation)(hidden)
    hidden = Unflatten((rows, 1, filters[0]))(hidden)
    for count in filters[1:]:
        hidden = along_steps(2 * count, 3, activation)(hidden)
        rows *= 2
        hidden = Unflatten((rows, 1, count))(hidden)  # two channels become two steps
        hidden = along_steps(count, 5, activation)(hidden)
    if rows != steps:
        hidden = Crop(steps, 1)(hidden)
    hidden = Unflatten((steps, filters[-1]))(hidden)
    return keras.Model(inputs, hidden, name="decoder")


def along_steps(channels: int, size: int, activation: Any, stride: int = 1) -> Any:
    """A convolution along the steps of images one pixel wide.

    LiteRT runs `Conv1D` as this too, between two reshapes outside its accelerated path.
    """
    return keras.layers.Conv2D(
        channels, (size, 1), (stride, 1), "same", activation=activation
    )


def series_shape(data_shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns the numbers of steps and features, or raises ValueError if not a series."""
    data_shape = check_data_shape("a network for series", data_shape)
    if len(data_shape) not in (1, 2):
        raise ValueError(
            "a network for series expects data_shape (T, F) or (T,); received "
            f"{data_shape}. Use networks.conv_encoder and conv_decoder for images."
        )
    steps, *features = data_shape
    return steps, features[0] if features else 1


def joined_mask(hidden: Any, data_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Makes the input "mask", and appends it to the features (B, T, F) of each step."""
    mask = keras.Input(tuple(data_shape), name="mask")
    steps, features = series_shape(data_shape)
    seen = Unflatten((steps, features))(mask)
    return mask, keras.layers.Concatenate()([hidden, seen])
