"""Recurrent networks for series: steps in order, each with some features."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_layer, check_size, check_sizes
from kvae.networks.condition import condition_input, join
from kvae.networks.series import joined_mask, series_shape
from kvae.networks.unflatten import Unflatten

_CELLS = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def recurrent_encoder(
    data_shape: tuple[int, ...],
    units: tuple[int, ...] = (64,),
    cell: str = "gru",
    activation: Any = "tanh",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
    preprocess: Any = None,
    with_mask: bool = False,
) -> keras.Model:
    """Builds an encoder that reads a series step by step; its last state is the features.

    Args:
        data_shape: (T, F) of one series, T steps of F features; (T,) has one feature.
        units: widths of the recurrent layers, one on top of the other.
        cell: "gru" or "lstm".
        activation: of the cells, any Keras activation.
        condition_shape: of one condition, joined to the features, or None.
        classes: of a condition that is an integer label, joined as a one-hot vector: the
            labels, or a number n for 0 .. n-1.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.
        with_mask: has an input "mask" too, 1 where x is observed.

    Returns:
        network: a functional Keras model from (B, *data_shape) to (B, units[-1]). With a
            condition or a mask its inputs are a dict of "x", "condition", "mask".

    Raises:
        ValueError: if `data_shape` is not that of a series, `units` is empty, or the cell
            is unknown.
    """
    steps, features = series_shape(data_shape)
    units = check_sizes("units", units, "Try (64,).")
    check_layer("preprocess", preprocess)
    x = keras.Input(tuple(data_shape), name="x")
    hidden = x if preprocess is None else preprocess(x)
    hidden = Unflatten((steps, features))(hidden)
    inputs: dict[str, Any] = {"x": x}
    if with_mask:
        inputs["mask"], hidden = joined_mask(hidden, data_shape)
    for index, width in enumerate(units):
        whole = index < len(units) - 1
        hidden = _layer(cell, width, activation, whole)(hidden)
    given = condition_input(condition_shape, classes)
    if given is not None:
        inputs["condition"] = given[0]
        hidden = keras.layers.Dense(units[-1], activation)(join(hidden, given[1]))
    return keras.Model(inputs if len(inputs) > 1 else x, hidden, name="encoder")


def recurrent_decoder(
    latent_dim: int,
    data_shape: tuple[int, ...],
    units: tuple[int, ...] = (64,),
    cell: str = "gru",
    activation: Any = "tanh",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
) -> keras.Model:
    """Builds a decoder that writes a series step by step, seeing the latents at each.

    The features keep the steps, so the head of a likelihood is one small map that all
    steps share.

    Args:
        latent_dim: D, the number of latent dimensions.
        data_shape: (T, F) of one series, T steps of F features; (T,) has one feature.
        units: widths of the recurrent layers, one on top of the other.
        cell: "gru" or "lstm".
        activation: of the cells, any Keras activation.
        condition_shape: of one condition, joined to the latents, or None.
        classes: of a condition that is an integer label, joined as a one-hot vector: the
            labels, or a number n for 0 .. n-1.

    Returns:
        network: a functional Keras model from (B, latent_dim) to (B, T, units[-1]).
            With a condition its inputs are a dict of "z" and "condition".

    Raises:
        ValueError: if `data_shape` is not that of a series, `units` is empty, or the cell
            is unknown.
    """
    check_size("latent_dim", latent_dim)
    steps, _ = series_shape(data_shape)
    units = check_sizes("units", units, "Try (64,).")
    z = keras.Input((latent_dim,), name="z")
    inputs: Any = z
    hidden = z
    given = condition_input(condition_shape, classes)
    if given is not None:
        inputs = {"z": z, "condition": given[0]}
        hidden = join(hidden, given[1])
    hidden = keras.layers.Dense(units[0], activation)(hidden)
    hidden = keras.layers.RepeatVector(steps)(hidden)
    for width in units:
        hidden = _layer(cell, width, activation, True)(hidden)
    return keras.Model(inputs, hidden, name="decoder")


def _layer(cell: str, width: int, activation: Any, whole: bool) -> Any:
    if cell not in _CELLS:
        raise ValueError(f'cell must be "gru" or "lstm"; received {cell!r}.')
    return _CELLS[cell](width, activation=activation, return_sequences=whole)
