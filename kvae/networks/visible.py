"""Networks that know which entries of an example are visible."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_data_shape, check_layer, check_size, check_sizes
from kvae.networks.conv import conv_decoder
from kvae.networks.mlp import mlp
from kvae.networks.series import along_steps, series_decoder
from kvae.networks.unflatten import Unflatten


def masked_encoder(
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 64),
    units: tuple[int, ...] = (256,),
    *,
    activation: Any = "gelu",
    preprocess: Any = None,
) -> keras.Model:
    """Builds an encoder that sees x and the mask; hidden entries are 0 or a mean.

    Args:
        data_shape: (D,), (H, W) or (H, W, C) of one example.
        filters: of an image: channels after each halving.
        units: widths of the dense layers at the end, the features.
        activation: any Keras activation.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.

    Returns:
        network: a functional Keras model of a dict of "x" and "mask" to (B, units[-1]).
    """
    data_shape = check_data_shape("masked_encoder", data_shape)
    check_layer("preprocess", preprocess)
    x = keras.Input(tuple(data_shape), name="x")
    mask = keras.Input(tuple(data_shape), name="mask")
    prepared = x if preprocess is None else preprocess(x)
    seen = keras.layers.Concatenate()([_channels(prepared), _channels(mask)])
    features = _body(seen, filters, units, activation)
    return keras.Model({"x": x, "mask": mask}, features, name="encoder")


def visible_encoder(
    data_shape: tuple[int, ...],
    condition_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 64),
    units: tuple[int, ...] = (256,),
    *,
    activation: Any = "gelu",
    preprocess: Any = None,
    preprocess_visible: Any = None,
    series: bool = False,
) -> keras.Model:
    """Builds the q(z | x, visible) of a completing model.

    Args:
        data_shape: (D,), (H, W) or (H, W, C) of one example.
        condition_shape: `kvae.masks.visible_shape(data_shape)`.
        filters: of an image: channels after each halving.
        units: widths of the dense layers at the end, the features.
        activation: any Keras activation.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.
        preprocess_visible: likewise of the visible part, such as `StandardizeVisible`.
        series: examples (T, F) are series; convolutions go along the steps alone.

    Returns:
        network: a functional Keras model of a dict of "x" and "condition" to
            (B, units[-1]).
    """
    data_shape = check_data_shape("visible_encoder", data_shape)
    _check_visible("visible_encoder", data_shape, condition_shape)
    check_layer("preprocess", preprocess)
    check_layer("preprocess_visible", preprocess_visible)
    x = keras.Input(tuple(data_shape), name="x")
    condition = keras.Input(tuple(condition_shape), name="condition")
    prepared = x if preprocess is None else preprocess(x)
    visible = _prepared(condition, preprocess_visible)
    seen = keras.layers.Concatenate()([_channels(prepared), visible])
    features = _body(seen, filters, units, activation, series)
    return keras.Model({"x": x, "condition": condition}, features, name="encoder")


def visible_decoder(
    latent_dim: int,
    data_shape: tuple[int, ...],
    condition_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 16, 8),
    units: tuple[int, ...] = (256,),
    activation: Any = "gelu",
    preprocess_visible: Any = None,
    series: bool = False,
) -> keras.Model:
    """Builds the p(x | z, visible) of a completing model.

    The visible part enters twice: as features joined to z and, for images, at full
    resolution beside the last feature map, so that the hidden part can continue strokes
    at the border.

    Args:
        latent_dim: D, the number of latent dimensions.
        data_shape: (X,), (H, W) or (H, W, C) of one example.
        condition_shape: `kvae.masks.visible_shape(data_shape)`.
        filters: of an image: channels of the smallest feature map, then after each
            doubling.
        units: widths of the dense layers.
        activation: any Keras activation.
        preprocess_visible: a Keras layer that the visible part goes through first, such
            as `StandardizeVisible`, or None.
        series: examples (T, F) are series; convolutions go along the steps alone.

    Returns:
        network: a functional Keras model of a dict of "z" and "condition".
    """
    check_size("latent_dim", latent_dim)
    data_shape = check_data_shape("visible_decoder", data_shape)
    _check_visible("visible_decoder", data_shape, condition_shape)
    filters = check_sizes("filters", filters, "Try (32, 16, 8).")
    units = check_sizes("units", units)
    z = keras.Input((latent_dim,), name="z")
    condition = keras.Input(tuple(condition_shape), name="condition")
    check_layer("preprocess_visible", preprocess_visible)
    visible = _prepared(condition, preprocess_visible)
    inputs = {"z": z, "condition": condition}
    if len(data_shape) == 1:
        hidden = keras.layers.Concatenate()([z, visible])
        hidden = _body(hidden, (), units, activation)
        return keras.Model(inputs, hidden, name="decoder")
    seen = _body(visible, filters[::-1][:2], units, activation, series)
    joined = keras.layers.Concatenate()([z, seen])
    latents = latent_dim + units[-1]
    if series:
        upwards = series_decoder(latents, data_shape, filters, units[-1], activation)
        both = keras.layers.Concatenate()([upwards(joined), _steps(visible)])
        mixed = along_steps(filters[-1], 5, activation)(
            Unflatten((data_shape[0], 1, both.shape[-1]))(both)
        )
        mixed = Unflatten((data_shape[0], filters[-1]))(mixed)
        return keras.Model(inputs, mixed, name="decoder")
    upwards = conv_decoder(latents, data_shape, filters, units[-1], activation)
    near = keras.layers.Conv2D(filters[-1], 3, padding="same", activation=activation)
    both = keras.layers.Concatenate()([upwards(joined), near(visible)])
    mixed = keras.layers.Conv2D(filters[-1], 3, padding="same", activation=activation)
    return keras.Model(inputs, mixed(both), name="decoder")


def visible_network(
    condition_shape: tuple[int, ...],
    filters: tuple[int, ...] = (32, 64),
    units: tuple[int, ...] = (256,),
    *,
    activation: Any = "gelu",
    preprocess_visible: Any = None,
    series: bool = False,
) -> keras.Model:
    """Builds the network of p(z | visible), for `priors.ConditionalNormal`.

    Args:
        condition_shape: `kvae.masks.visible_shape(data_shape)`.
        filters: of an image: channels after each halving.
        units: widths of the dense layers at the end, the features.
        activation: any Keras activation.
        preprocess_visible: a Keras layer that the visible part goes through first, such
            as `StandardizeVisible`, or None.
        series: of series (T, F); convolutions go along the steps alone.

    Returns:
        network: a functional Keras model from (B, *condition_shape) to (B, units[-1]).
    """
    condition_shape = check_data_shape(
        "visible_network", condition_shape, "condition_shape"
    )
    check_layer("preprocess_visible", preprocess_visible)
    if len(condition_shape) == 1:
        return mlp(condition_shape, units, activation, preprocess=preprocess_visible)
    condition = keras.Input(tuple(condition_shape))
    visible = _prepared(condition, preprocess_visible)
    features = _body(visible, filters, units, activation, series)
    return keras.Model(condition, features, name="prior")


def _check_visible(
    owner: str, data_shape: tuple[int, ...], condition_shape: Any
) -> None:
    given = check_data_shape(owner, condition_shape, "condition_shape")
    places = data_shape if len(data_shape) == 2 else data_shape[:-1]
    if given[:-1] != places:
        raise ValueError(
            f"{owner} of data_shape={data_shape} expects the condition_shape that "
            f"kvae.masks.visible_shape returns for it; received {condition_shape!r}."
        )


def _channels(image: Any) -> Any:
    """Adds a channel to (H, W) images."""
    if len(image.shape) != 3:
        return image
    return Unflatten((*image.shape[1:], 1))(image)


def _prepared(visible: Any, preprocess: Any) -> Any:
    return visible if preprocess is None else preprocess(visible)


def _steps(hidden: Any) -> Any:
    """Joins all that a step has: (B, T, F, C) to (B, T, F * C)."""
    _, steps, *others = hidden.shape
    return Unflatten((steps, math.prod(others)))(hidden)


def _body(
    hidden: Any,
    filters: tuple[int, ...],
    units: tuple[int, ...],
    activation: Any,
    series: bool = False,
) -> Any:
    units = check_sizes("units", units)
    if len(hidden.shape) > 2:
        if series:
            _, steps, *others = hidden.shape
            hidden = Unflatten((steps, 1, math.prod(others)))(hidden)
        for count in check_sizes("filters", filters, "Try (32, 64).", empty=True):
            layer = keras.layers.Conv2D(count, 4, 2, "same", activation=activation)
            if series:
                layer = along_steps(count, 4, activation, stride=2)
            hidden = layer(hidden)
        hidden = keras.layers.Flatten()(hidden)
    for width in units:
        hidden = keras.layers.Dense(width, activation)(hidden)
    return hidden
