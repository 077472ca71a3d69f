"""Residual networks for pictures of any size, with latents that are vectors or maps."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras

from kvae.core.checks import (
    MOST_LAYERS,
    check_data_shape,
    check_latent_shape,
    check_layer,
    check_size,
    check_sizes,
    is_integer,
)
from kvae.networks.condition import condition_input
from kvae.networks.crop import Crop
from kvae.networks.depth_to_space import DepthToSpace
from kvae.networks.icnr import ICNR
from kvae.networks.self_attention import SelfAttention
from kvae.networks.unflatten import Unflatten

_VECTOR_PLACES = 16  # that a map has at most before it becomes a vector: 4x4
_VECTOR_CHANNELS = 32  # of that map, at least, on its way to or from a vector
_ATTENTION_PLACES = 1024  # at most: attention takes the square of them
_CONDITION_WIDTH = 64  # of the levels that a picture as condition goes through, at most


def residual_encoder(
    data_shape: tuple[int, ...],
    latent_shape: int | tuple[int, ...] | None = None,
    widths: tuple[int, ...] | None = None,
    blocks: int | tuple[int, ...] | None = None,
    *,
    attention: bool = False,
    activation: Any = "silu",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
    preprocess: Any = None,
) -> keras.Model:
    """Builds an encoder of residual blocks that halves the picture once per width.

    A level halves height and width, rounding up, so any size fits; then come its blocks

        h + conv3x3(act(conv3x3(act(h))))

    without normalization. For latents that are a vector, the last map has at most 4x4
    positions unless `widths` says otherwise; for latents of shape (h, w, c) it has h x
    w, and every layer is a convolution.

    Args:
        data_shape: (H, W) or (H, W, C) of one picture.
        latent_shape: D or (D,) for latents that are a vector, (h, w, c) for a map; None
            means a vector.
        widths: channels of each level, of the largest map first; None doubles them from
            32 up to 256, with fewer on large maps, so that no level takes much longer
            than the others.
        blocks: residual blocks of each level, or one number for all; None chooses one
            for maps of up to 32x32, and none for larger ones.
        attention: whether the positions of the last map attend to one another.
        activation: any Keras activation.
        condition_shape: of one condition, whose features are added at every level; a
            picture goes through separate levels. None if there is no condition.
        classes: of a condition that is an integer label: the labels, or a number n for
            0 .. n-1.
        preprocess: a Keras layer that x goes through first, such as `Standardize`, or
            None.

    Returns:
        network: a functional Keras model from (B, *data_shape) to features (B, F), or
            (B, h, w, F) for latents that are a map. With a condition its inputs are a
            dict of "x" and "condition".

    Raises:
        ValueError: if `data_shape` is not that of a picture, or an argument does not fit
            it.

    Source: He et al. 2016, arXiv:1603.05027, figure 4(e), without normalization and
        with the last convolution started small as in Child 2020, arXiv:2011.10650.
    """
    plan = _Plan.of(data_shape, latent_shape, widths, blocks, attention)
    check_layer("preprocess", preprocess)
    x = keras.Input(tuple(data_shape), name="x")
    inputs: Any = x
    given = _condition(condition_shape, classes, activation)
    if given is not None:
        inputs = {"x": x, "condition": given[0]}
    hidden = x if preprocess is None else preprocess(x)
    hidden = _downwards(hidden, plan, activation, given and given[1])
    if not plan.is_map:
        hidden = _as_vector(hidden, plan.vector_channels)
    return keras.Model(inputs, hidden, name="encoder")


def residual_decoder(
    latent_shape: int | tuple[int, ...],
    data_shape: tuple[int, ...],
    widths: tuple[int, ...] | None = None,
    blocks: int | tuple[int, ...] | None = None,
    *,
    attention: bool = False,
    features: int = 16,
    activation: Any = "silu",
    condition_shape: tuple[int, ...] | None = None,
    classes: int | tuple[int, ...] | None = None,
) -> keras.Model:
    """Builds a decoder of residual blocks, the mirror image of `residual_encoder`.

    After its blocks, a level doubles height and width by a convolution and
    `DepthToSpace`, initialized by `ICNR` so that there is no checkerboard to unlearn,
    and crops the row and the column that the encoder's rounding added.

    Args:
        latent_shape: D or (D,) of latents that are a vector, (h, w, c) of a map.
        data_shape: (H, W) or (H, W, C) of one picture.
        widths: as in `residual_encoder`, of the largest map first: the same tuple gives
            the same maps.
        blocks: as in `residual_encoder`.
        attention: whether the positions of the smallest map attend to one another.
        features: channels at full size, which the likelihood reads.
        activation: any Keras activation.
        condition_shape: of one condition, whose features are added at every level; a
            picture goes through separate levels. None if there is no condition.
        classes: of a condition that is an integer label: the labels, or a number n for
            0 .. n-1.

    Returns:
        network: a functional Keras model from (B, D) or (B, h, w, c) to (B, H, W,
            features). With a condition its inputs are a dict of "z" and "condition".

    Raises:
        ValueError: if `data_shape` is not that of a picture, or an argument does not fit
            it.
    """
    plan = _Plan.of(data_shape, latent_shape, widths, blocks, attention)
    check_size("features", features)
    z = keras.Input(plan.latent_shape, name="z")
    hidden = z
    if not plan.is_map:
        small = (*plan.sizes[-1], plan.vector_channels)
        spread = keras.layers.Dense(math.prod(small), kernel_initializer="lecun_normal")
        hidden = Unflatten(small)(spread(z))
    inputs: Any = z
    given = _condition(condition_shape, classes, activation)
    if given is not None:
        inputs = {"z": z, "condition": given[0]}
    hidden = _convolution(plan.widths[-1])(hidden)
    for level in reversed(range(len(plan.widths))):
        hidden = _level(hidden, plan, level, activation, given and given[1])
        if not level or not plan.blocks[level]:
            hidden = keras.layers.Activation(activation)(hidden)
        if level:
            double = _convolution(4 * plan.widths[level - 1], 1, start=ICNR(2))
        else:
            double = _convolution(4 * features, start=ICNR(2, "he_normal"))
        hidden = DepthToSpace(2)(double(hidden))
        if hidden.shape[1:3] != plan.sizes[level]:
            hidden = Crop(*plan.sizes[level])(hidden)
    hidden = keras.layers.Activation(activation)(hidden)
    return keras.Model(inputs, hidden, name="decoder")


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The levels of a network, which an encoder walks down and a decoder up.

    Attributes:
        sizes: height and width of the picture, then of the map of each level.
        widths: channels of each level.
        blocks: residual blocks of each level.
        attention: at the last level.
        latent_shape: (D,) or (h, w, c); None for a vector of unknown size.
        vector_channels: of the last map, if it becomes a vector.
    """

    sizes: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    attention: bool
    latent_shape: tuple[int, ...] | None
    vector_channels: int

    @property
    def is_map(self) -> bool:
        """Whether latents are a map."""
        return self.latent_shape is not None and len(self.latent_shape) == 3

    @classmethod
    def of(
        cls,
        data_shape: tuple[int, ...],
        latent_shape: int | tuple[int, ...] | None,
        widths: tuple[int, ...] | None,
        blocks: int | tuple[int, ...] | None,
        attention: bool,
    ) -> _Plan:
        shape = check_data_shape("a residual network", data_shape)
        if len(shape) not in (2, 3):
            raise ValueError(
                "a residual network expects data_shape (H, W) or (H, W, C); received "
                f"{shape}. Use networks.mlp for vectors."
            )
        if widths is not None:
            advice = "The largest map is the first, for example (32, 64)."
            widths = check_sizes("widths", widths, advice)
        sizes = [(shape[0], shape[1])]
        while len(sizes) == 1 or sizes[-1] != (1, 1):
            sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
        latent = _latent_shape(latent_shape)
        count = _count_levels(sizes, latent, widths)
        sizes = sizes[: count + 1]
        places = math.prod(sizes[-1])
        if attention and places > _ATTENTION_PLACES:
            raise ValueError(
                f"attention covers {_ATTENTION_PLACES} positions at most; the last map "
                f"has {sizes[-1][0]}x{sizes[-1][1]}. Leave out attention, or use more "
                "widths or smaller latents."
            )
        sides = [math.sqrt(math.prod(size)) for size in sizes[1:]]
        if widths is None:
            widths = tuple(_width(level, side) for level, side in enumerate(sides))
        if blocks is None:
            blocks = tuple(int(side <= 32) for side in sides)
        return cls(
            sizes=tuple(sizes),
            widths=tuple(widths),
            blocks=_check_blocks(blocks, count),
            attention=attention,
            latent_shape=latent,
            vector_channels=_vector_channels(latent, places, widths[-1]),
        )


def _latent_shape(latent_shape: int | tuple[int, ...] | None) -> tuple[int, ...] | None:
    if latent_shape is None:
        return None
    shape = check_latent_shape("a residual network", latent_shape)
    if len(shape) not in (1, 3):
        raise ValueError(
            "latent_shape must be D or (D,) for a vector, or (h, w, c) for a map; "
            f"received {latent_shape!r}."
        )
    return shape


def _count_levels(
    sizes: list[tuple[int, int]],
    latent: tuple[int, ...] | None,
    widths: tuple[int, ...] | None,
) -> int:
    """Counts how often the picture is halved; `sizes` holds all possible sizes."""
    if latent is not None and len(latent) == 3:
        if latent[:2] not in sizes[1:]:
            height, width = sizes[0]
            reached = ", ".join(f"{h}x{w}" for h, w in sizes[1:])
            raise ValueError(
                f"halving pictures of {height}x{width} never gives latents of "
                f"{latent[0]}x{latent[1]}; latent_shape=(h, w, c) can start with "
                f"{reached}. Received {latent}."
            )
        count = sizes.index(latent[:2], 1)
        if widths is not None and len(widths) != count:
            raise ValueError(
                f"latent_shape={latent} is {count} halvings of {sizes[0][0]}x"
                f"{sizes[0][1]} away, so widths must hold {count} numbers; received "
                f"{widths!r}."
            )
        return count
    if widths is not None:
        if len(widths) >= len(sizes):
            raise ValueError(
                f"pictures of {sizes[0][0]}x{sizes[0][1]} can be halved {len(sizes) - 1} "
                f"times; received {len(widths)} widths, {widths!r}."
            )
        return len(widths)
    return next(
        n for n in range(1, len(sizes)) if math.prod(sizes[n]) <= _VECTOR_PLACES
    )


def _width(level: int, side: float) -> int:
    """The channels of a map by default, a power of two.

    They double with each level, starting at 32, but large maps have fewer, so that no
    level takes much longer than the others.
    """
    few = 2 ** math.floor(math.log2(1024 / side))
    return min(32 * 2**level, max(16, few), 256)


def _check_blocks(blocks: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    each: Any = blocks if isinstance(blocks, (tuple, list)) else (blocks,) * count
    if len(each) != count or not all(
        is_integer(n) and 0 <= n <= MOST_LAYERS for n in each
    ):
        raise ValueError(
            f"blocks must be a number of residual blocks, or one number for each of the "
            f"{count} levels; received {blocks!r}."
        )
    return tuple(each)


def _vector_channels(latent: tuple[int, ...] | None, places: int, width: int) -> int:
    """Makes enough for two numbers per latent, but no more: these weights are dense."""
    wanted = 0 if latent is None else math.ceil(2 * latent[0] / places)
    return min(max(_VECTOR_CHANNELS, wanted), width)


def _condition(
    shape: tuple[int, ...] | None,
    classes: int | tuple[int, ...] | None,
    activation: Any,
) -> tuple[Any, Any] | None:
    """The input named "condition" and flat features of it, or None."""
    pair_or_more = isinstance(shape, (tuple, list)) and len(shape) in (2, 3)
    if classes is not None or shape is None or not pair_or_more:
        return condition_input(shape, classes)
    plan = _Plan.of(shape, None, None, 0, False)
    narrow = tuple(min(width, _CONDITION_WIDTH) for width in plan.widths)
    plan = dataclasses.replace(plan, widths=narrow)
    condition = keras.Input(tuple(shape), name="condition")
    hidden = _downwards(condition, plan, activation, None)
    return condition, _as_vector(hidden, _VECTOR_CHANNELS)


def _downwards(x: Any, plan: _Plan, activation: Any, condition: Any) -> Any:
    hidden = Unflatten((*x.shape[1:], 1))(x) if len(x.shape) == 3 else x
    for level, width in enumerate(plan.widths):
        if level and not plan.blocks[level - 1]:
            hidden = keras.layers.Activation(activation)(hidden)
        hidden = _convolution(width, 2 if level else 4, strides=2)(hidden)
        hidden = _level(hidden, plan, level, activation, condition)
    return keras.layers.Activation(activation)(hidden)


def _level(
    hidden: Any, plan: _Plan, level: int, activation: Any, condition: Any
) -> Any:
    """The residual blocks of a level, after the condition is added."""
    if condition is not None:
        shift = keras.layers.Dense(plan.widths[level])(condition)
        shift = Unflatten((1, 1, plan.widths[level]))(shift)
        hidden = keras.layers.Add()([hidden, shift])
    for _ in range(plan.blocks[level]):
        inner = keras.layers.Activation(activation)(hidden)
        inner = _convolution(plan.widths[level], start="he_normal")(inner)
        inner = keras.layers.Activation(activation)(inner)
        inner = _convolution(plan.widths[level], start=_small(plan))(inner)
        hidden = keras.layers.Add()([hidden, inner])
    if plan.attention and level == len(plan.widths) - 1:
        hidden = SelfAttention(_small(plan))(hidden)
    return hidden


def _small(plan: _Plan) -> Any:
    """Initializes blocks so that together they add about as much as bypasses them."""
    return keras.initializers.VarianceScaling(1 / max(1, sum(plan.blocks)))


def _as_vector(hidden: Any, channels: int) -> Any:
    """Flattens a map after reducing its channels."""
    hidden = _convolution(channels, 1)(hidden)
    return Unflatten((math.prod(hidden.shape[1:]),))(hidden)


def _convolution(
    channels: int, size: int = 3, strides: int = 1, start: Any = "lecun_normal"
) -> Any:
    return keras.layers.Conv2D(
        channels, size, strides, padding="same", kernel_initializer=start
    )
