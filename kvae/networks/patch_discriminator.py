"""A discriminator that judges a picture patch by patch."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import check_data_shape, check_sizes
from kvae.networks.unflatten import Unflatten


def patch_discriminator(
    data_shape: tuple[int, ...],
    filters: tuple[int, ...] | None = None,
    spectral_normalization: bool = True,
) -> keras.Model:
    """Builds a network that scores how real each patch of a picture looks.

    Each of the n entries of `filters` halves the picture by a 4x4 convolution and a leaky
    ReLU of slope 0.2; a 3x3 convolution makes the logits. Each of them sees a square of
    5 * 2^n - 2 pixels a side, and neighbors are 2^n pixels apart. There is no batch
    normalization, so the logits of a picture do not depend on the rest of its batch.

    Args:
        data_shape: (H, W) or (H, W, C) of one picture.
        filters: channels after each halving. None doubles them from 32 up to 256, with
            as many halvings, at most 4, as it takes for a logit to see a little more
            than half of the picture: 8 pixels a side of 16, 18 of 32, 38 of 64, 78 of
            128 and above.
        spectral_normalization: divide each kernel by an estimate of its largest singular
            value in every call with `training=True`, so that the network cannot become
            steep; the estimate is a weight and is saved.

    Returns:
        network: a functional Keras model from (B, *data_shape) to logits (B, h, w, 1).

    Raises:
        ValueError: if `data_shape` is not that of a picture, or `filters` is not a tuple
            of positive integers.

    Source: patches of Isola et al. 2017, arXiv:1611.07004, section 3.2.2; spectral
        normalization of Miyato et al. 2018, arXiv:1802.05957, algorithm 1.
    """
    shape = check_data_shape("a patch discriminator", data_shape)
    if len(shape) not in (2, 3):
        raise ValueError(
            "a patch discriminator expects data_shape (H, W) or (H, W, C); received "
            f"{shape}. Use networks.mlp for vectors."
        )
    if filters is None:
        side = math.sqrt(shape[0] * shape[1])
        halvings = min(4, max(1, round(math.log2(side / 8))))
        filters = tuple(min(256, 32 * 2**level) for level in range(halvings))
    filters = check_sizes("filters", filters, "Try (32, 64).")
    x = keras.Input(shape, name="x")
    hidden = Unflatten((*shape, 1))(x) if len(shape) == 2 else x
    for count in filters:
        halve = keras.layers.Conv2D(count, 4, 2, "same")
        hidden = _bounded(halve, spectral_normalization)(hidden)
        hidden = keras.layers.LeakyReLU(0.2)(hidden)
    judge = keras.layers.Conv2D(1, 3, padding="same")
    logits = _bounded(judge, spectral_normalization)(hidden)
    return keras.Model(x, logits, name="discriminator")


def _bounded(layer: Any, spectral_normalization: bool) -> Any:
    if not spectral_normalization:
        return layer
    return keras.layers.SpectralNormalization(layer)
