"""Dense networks."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_data_shape, check_layer, check_sizes
from kvae.networks.condition import condition_input, join
from kvae.networks.unflatten import Unflatten


def mlp(
    input_shape: tuple[int, ...],
    units: tuple[int, ...] = (512, 256),
    activation: Any = "relu",
    condition_shape: tuple[int, ...] | None = None,
    *,
    role: str = "encoder",
    classes: int | tuple[int, ...] | None = None,
    preprocess: Any = None,
) -> keras.Model:
    """Builds a stack of dense layers, for an encoder or a decoder.

    Args:
        input_shape: of one example (encoder) or `(latent_dim,)` (decoder).
        units: width of each hidden layer; the last one is the features.
        activation: any Keras activation.
        condition_shape: of one condition, joined to the input, or None.
        role: "encoder" names the main input x, "decoder" names it z.
        classes: of a condition that is an integer label: the labels, or a number n for
            0 .. n-1. It is joined as a one-hot vector.
        preprocess: a Keras layer that the main input goes through first, such as
            `Standardize`, or None.

    Returns:
        network: a functional Keras model from (B, *input_shape) to (B, units[-1]). With
            a condition its inputs are a dict of the main input and "condition".

    Raises:
        ValueError: if `units` is empty or `role` is unknown.
    """
    input_shape = check_data_shape("mlp", input_shape, "input_shape")
    units = check_sizes("units", units)
    check_layer("preprocess", preprocess)
    name = main_name(role)
    main = keras.Input(input_shape, name=name)
    hidden = main if preprocess is None else preprocess(main)
    if len(input_shape) > 1:
        hidden = Unflatten((math.prod(input_shape),))(hidden)
    inputs: Any = main
    given = condition_input(condition_shape, classes)
    if given is not None:
        inputs = {name: main, "condition": given[0]}
        hidden = join(hidden, given[1])
    for width in units:
        hidden = keras.layers.Dense(width, activation)(hidden)
    return keras.Model(inputs, hidden, name=role)


def main_name(role: str) -> str:
    """Names the main input of an encoder, x, or of a decoder, z."""
    if role not in ("encoder", "decoder"):
        raise ValueError(f'role must be "encoder" or "decoder"; received {role!r}.')
    return "x" if role == "encoder" else "z"
