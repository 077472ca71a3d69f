"""Convolutional networks for images of any height, width and number of channels."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_data_shape, check_layer, check_size, check_sizes
from kvae.networks.condition import condition_input, join
from kvae.networks.crop import Crop
from kvae.networks.depth_to_space import DepthToSpace
from kvae.networks.unflatten import Unflatten


def conv_encoder(
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 64),
    units: int = 256,
    *,
    activation: Any = "silu",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
    preprocess: Any = None,
) -> keras.Model:
    """Builds an encoder that halves the image once per entry of `filters`.

    Args:
        data_shape: (H, W) or (H, W, C) of one image.
        filters: channels after each halving.
        units: width of the dense layer at the end, the features.
        activation: any Keras activation.
        condition_shape: of one condition, joined before the dense layer; an image goes
            through separate convolutions. None if there is no condition.
        classes: of a condition that is an integer label, joined as a one-hot vector: the
            labels, or a number n for 0 .. n-1.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.

    Returns:
        network: a functional Keras model from (B, *data_shape) to (B, units). With a
            condition its inputs are a dict of "x" and "condition".

    Raises:
        ValueError: if `data_shape` is not that of an image, or `filters` is empty.
    """
    height, width, channels = _image_shape(data_shape, filters)
    check_size("units", units)
    check_layer("preprocess", preprocess)
    x = keras.Input(tuple(data_shape), name="x")
    hidden = x if preprocess is None else preprocess(x)
    if len(data_shape) == 2:
        hidden = Unflatten((height, width, channels))(hidden)
    for count in filters:
        hidden = keras.layers.Conv2D(count, 4, 2, "same", activation=activation)(hidden)
    hidden = Unflatten((math.prod(hidden.shape[1:]),))(hidden)
    inputs: Any = x
    given = condition_input(condition_shape, classes, activation, convolve=True)
    if given is not None:
        inputs = {"x": x, "condition": given[0]}
        hidden = join(hidden, given[1])
    hidden = keras.layers.Dense(units, activation)(hidden)
    return keras.Model(inputs, hidden, name="encoder")


def conv_decoder(
    latent_dim: int,
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 16, 8),
    units: int = 512,
    activation: Any = "silu",
    *,
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
) -> keras.Model:
    """Builds a decoder that doubles a small feature map up to the image's size.

    It upsamples with `DepthToSpace` after a 3x3 convolution, which LiteRT runs on its
    accelerated path with a free batch size, and crops where the size is not a multiple.
    Between two doublings a 5x5 convolution lets neighboring pixels agree, at a
    resolution where that is still cheap.

    Args:
        latent_dim: D, the number of latent dimensions.
        data_shape: (H, W) or (H, W, C) of one image.
        filters: channels of the smallest feature map, then after each doubling.
        units: width of the dense layer at the start.
        activation: any Keras activation.
        condition_shape: of one condition, joined to the latents; an image goes through
            separate convolutions. None if there is no condition.
        classes: of a condition that is an integer label, joined as a one-hot vector: the
            labels, or a number n for 0 .. n-1.

    Returns:
        network: a functional Keras model from (B, latent_dim) to (B, H, W, filters[-1]).
            With a condition its inputs are a dict of "z" and "condition".

    Raises:
        ValueError: if `data_shape` is not that of an image, or `filters` is empty.
    """
    check_size("latent_dim", latent_dim)
    height, width, _ = _image_shape(data_shape, filters)
    check_size("units", units)
    factor = 2 ** (len(filters) - 1)
    rows, columns = math.ceil(height / factor), math.ceil(width / factor)
    z = keras.Input((latent_dim,), name="z")
    inputs: Any = z
    hidden = z
    given = condition_input(condition_shape, classes, activation, convolve=True)
    if given is not None:
        inputs = {"z": z, "condition": given[0]}
        hidden = join(hidden, given[1])
    hidden = keras.layers.Dense(units, activation)(hidden)
    hidden = keras.layers.Dense(rows * columns * filters[0], activation)(hidden)
    hidden = Unflatten((rows, columns, filters[0]))(hidden)
    for index, count in enumerate(filters[1:]):
        if index > 0:
            hidden = _convolution(filters[index], 5, activation)(hidden)
        hidden = _convolution(4 * count, 3, activation)(hidden)
        hidden = DepthToSpace(2)(hidden)
    if (rows * factor, columns * factor) != (height, width):
        hidden = Crop(height, width)(hidden)
    return keras.Model(inputs, hidden, name="decoder")


def _convolution(channels: int, size: int, activation: Any) -> Any:
    return keras.layers.Conv2D(channels, size, padding="same", activation=activation)


def _image_shape(
    data_shape: tuple[int, ...], filters: tuple[int, ...]
) -> tuple[int, int, int]:
    data_shape = check_data_shape("a convolutional network", data_shape)
    if len(data_shape) not in (2, 3):
        raise ValueError(
            "a convolutional network expects data_shape (H, W) or (H, W, C); received "
            f"{data_shape}. Use networks.mlp for vectors."
        )
    check_sizes("filters", filters, "Try (32, 64).")
    height, width, *channels = data_shape
    return height, width, channels[0] if channels else 1
