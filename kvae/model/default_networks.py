"""Networks that suit the shape of the data."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from kvae.networks import (
    conv_decoder,
    conv_encoder,
    mlp,
    residual_decoder,
    residual_encoder,
    series_decoder,
    series_encoder,
)

_LARGEST_MAP = 8  # images and series are halved until they are no larger
_MANY_WEIGHTS = 100_000_000
_LARGE_IMAGE = 32  # pixels per side above which residual networks are worth their time
_LATENT_SIDE = 32  # maps of latents are no larger, and at least two halvings away
_LATENT_CHANNELS = 4
_LATENTS = 16  # of a vector
_FEW_ENTRIES = 256  # of an example: up to here, one dense layer suits images too


class Networks(NamedTuple):
    """Functions that make encoder and decoder, what they make, and why."""

    encoder: Callable[..., Any]
    decoder: Callable[..., Any]
    what: str
    why: str


def choose_latents(shape: tuple[int, ...], data_kind: str | None) -> tuple[int, ...]:
    """Chooses the shape of latents for examples of a shape and kind.

    A vector cannot say where in a large image things are; a map of latents can.

    Args:
        shape: of one example.
        data_kind: "vectors", "images" or "series".

    Returns:
        latent_shape: (D,), or (h, w, c) for images that residual networks suit.
    """
    if data_kind != "images" or max(shape[:2]) < _LARGE_IMAGE:
        return (_LATENTS,)
    height, width = shape[:2]
    halvings = 0
    while halvings < 2 or max(height, width) > _LATENT_SIDE:
        height, width = math.ceil(height / 2), math.ceil(width / 2)
        halvings += 1
    return (height, width, _LATENT_CHANNELS)


def choose_networks(
    shape: tuple[int, ...],
    data_kind: str | None,
    latent_shape: tuple[int, ...] = (1,),
    masked: bool = False,
) -> Networks:
    """Chooses networks for examples of a shape and kind.

    Args:
        shape: of one example.
        data_kind: "vectors", "images" or "series".
        latent_shape: of one latent, (D,) or (h, w, c).
        masked: whether entries are missing; an encoder for series then sees the mask.

    Returns:
        networks: functions that take the arguments for conditions of `kvae.networks`.

    Raises:
        ValueError: if latents have a shape and examples are not images.
    """
    if len(latent_shape) > 1 and data_kind != "images":
        raise ValueError(
            f"latents of shape {latent_shape} are for images; received {data_kind} of "
            f"shape {shape}. Pass a number of latents, for example latent_dim=16."
        )
    if data_kind == "series":
        return _series_networks(shape, masked)
    if data_kind == "vectors":
        return _dense_networks(shape, "examples are vectors")
    height, width, *channels = shape
    why = f"examples are images of {height}x{width} pixels"
    if channels and channels[0] > 1:
        why += f" with {channels[0]} channels"
    if len(latent_shape) > 1 or max(height, width) >= _LARGE_IMAGE:
        return Networks(
            functools.partial(residual_encoder, shape, latent_shape),
            lambda latent_dim, **options: residual_decoder(
                latent_shape, shape, **options
            ),
            "residual networks",
            why,
        )
    if math.prod(shape) <= _FEW_ENTRIES:
        return _dense_networks(shape, f"{why}, which is small")
    return Networks(
        functools.partial(conv_encoder, shape, (32, 64)),
        functools.partial(conv_decoder, data_shape=shape, filters=(32, 16, 8)),
        "convolutional networks",
        why,
    )


def _dense_networks(shape: tuple[int, ...], why: str) -> Networks:
    entries = math.prod(shape)
    units = (256,) if entries <= _FEW_ENTRIES else (512, 256)
    if (weights := 2 * entries * units[0]) > _MANY_WEIGHTS:
        warnings.warn(
            f"dense networks for examples of {entries} numbers have {weights / 1e6:.0f} "
            "million weights. Reduce the data first, for example by PCA, or pass smaller "
            "networks as encoder= and decoder=.",
            stacklevel=5,
        )
    return Networks(
        functools.partial(mlp, shape, units, "silu"),
        lambda latent_dim, **options: mlp(
            (latent_dim,), units[::-1], "silu", role="decoder", **options
        ),
        "dense networks",
        why,
    )


def _series_networks(shape: tuple[int, ...], masked: bool) -> Networks:
    steps, *features = shape
    halvings = _halvings(steps)
    downwards = (32, 64, *(128,) * (halvings - 2))
    filters = (*(64,) * halvings, 32)
    return Networks(
        functools.partial(series_encoder, shape, downwards, with_mask=masked),
        functools.partial(series_decoder, data_shape=shape, filters=filters),
        "convolutional networks along the steps"
        + (", told which entries are missing," if masked else ""),
        f"examples are series of {steps} steps with {features[0] if features else 1} "
        "features",
    )


def _halvings(side: int) -> int:
    return max(2, math.ceil(math.log2(side / _LARGEST_MAP)))
