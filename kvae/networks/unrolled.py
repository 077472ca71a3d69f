"""Recurrent layers without loops, which LiteRT's built-in operations don't have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

_MOST_STEPS = 512  # each becomes operations of its own, and converting takes time


@contextlib.contextmanager
def unrolled(model: Any) -> Iterator[None]:
    """Unrolls the recurrent layers of a model in the graphs that are traced inside.

    A series of fixed length needs no loop, and the weights stay the same. Series of more
    than 512 steps keep it.

    Args:
        model: a `kvae.VAE`.
    """
    layers = []
    if model.data_shape[0] <= _MOST_STEPS:
        layers = [
            layer
            for layer in model._flatten_layers()
            if isinstance(layer, keras.layers.RNN)
        ]
    before = [layer.unroll for layer in layers]
    try:
        for layer in layers:
            layer.unroll = True
        yield
    finally:
        for layer, unroll in zip(layers, before, strict=True):
            layer.unroll = unroll
