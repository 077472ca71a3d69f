"""The encoder of a deep model: a map of features for each size of latents."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import MOST_LAYERS, check_data_shape, check_layer, check_size
from kvae.networks.bottleneck import Bottleneck
from kvae.networks.condition import condition_input
from kvae.networks.map_levels import MapLevels, growth, kernel_size
from kvae.networks.unflatten import Unflatten


def bottom_up_encoder(
    data_shape: tuple[int, ...],
    levels: tuple[tuple[int, int, int], ...],
    width: int | tuple[int, ...] = 64,
    blocks: int = 2,
    *,
    squeeze: int = 2,
    activation: Any = "silu",
    preprocess: Any = None,
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
) -> keras.Model:
    """Builds an encoder that gives a map of features for each size of latents.

    A strided convolution makes each map from the next larger one, and residual blocks
    (`Bottleneck`) follow. The features are the maps, flat, one after the other, in the
    order of `levels`, as `posteriors.TopDownMaps` reads them. A condition follows them,
    flat, labels as one-hot vectors: the trunk of the decoder reads it there.

    Args:
        data_shape: (H, W) or (H, W, C) of one picture.
        levels: as in `TopDownTrunk`.
        width: channels of the maps, one number for all or one for each size.
        blocks: residual blocks at each size.
        squeeze: factor between the width and the channels inside a block.
        activation: any Keras activation.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.
        condition_shape: of one condition that is a vector or an image, or None.
        classes: of a condition that is an integer label, as for `OneHot`, or None.

    Returns:
        network: a functional Keras model from (B, *data_shape), or from a dict of "x" and
            "condition", to features (B, F).

    Raises:
        ValueError: if the data are not pictures, or an argument does not fit them.
    """
    shape = check_data_shape("bottom_up_encoder", data_shape)
    if len(shape) not in (2, 3):
        raise ValueError(
            "bottom_up_encoder expects data_shape (H, W) or (H, W, C); received "
            f"{shape}. Use networks.mlp for vectors."
        )
    maps = MapLevels.of("bottom_up_encoder", levels, 1, width)
    check_size("blocks", blocks, 0, MOST_LAYERS)
    check_size("squeeze", squeeze)
    check_layer("preprocess", preprocess)
    x = keras.Input(shape, name="x")
    hidden = x if preprocess is None else preprocess(x)
    if len(shape) == 2:
        hidden = Unflatten((*shape, 1))(hidden)
    act = keras.layers.Activation
    total = max(1, blocks * len(maps.groups))
    found: list[Any] = []
    for first in reversed(maps.groups):
        size, channels = maps.sizes[first], maps.widths[first]
        rate = growth(size, hidden.shape[1:3])
        # A picture is read by patches that overlap, a map by patches that don't.
        patch = rate if found else min(2 * rate, 8) if rate > 1 else 3
        hidden = act(activation)(hidden) if found else hidden
        hidden = keras.layers.Conv2D(
            channels, max(rate, patch), rate, "same", kernel_initializer="lecun_normal"
        )(hidden)
        if hidden.shape[1:3] != size:
            raise ValueError(
                f"maps of {size[0]}x{size[1]} don't come from pictures of "
                f"{shape[0]}x{shape[1]} by halving, rounding up. Choose other levels."
            )
        for _ in range(blocks):
            inner = Bottleneck(
                channels,
                max(1, channels // squeeze),
                kernel_size(size),
                activation,
                last_scale=1.0 / total,
            )(hidden)
            hidden = keras.layers.Add()([hidden, inner])
        found.insert(0, hidden)
    flat = [Unflatten((math.prod(h.shape[1:]),))(act(activation)(h)) for h in found]
    inputs: Any = x
    if (condition := condition_input(condition_shape, classes)) is not None:
        inputs = {"x": x, "condition": condition[0]}
        flat.append(condition[1])
    features = flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat)
    return keras.Model(inputs, features, name="encoder")
