"""The base of every part of a model."""

from __future__ import annotations

import abc
from typing import Any

import keras


class Part(keras.layers.Layer, abc.ABC):
    """A part of a `kvae.VAE`: posterior, prior, likelihood, objective, or corruption.

    A part sees the model that holds it once, in `attach`, and the training data once, in
    `adapt`. Both do nothing by default.

    Args:
        **kwargs: passed to `keras.layers.Layer`.
    """

    def attach(self, model: Any) -> None:
        """Receives the model that holds this part. Override it to use the other parts.

        The model calls it once its parts are set.

        Args:
            model: the `kvae.VAE`. Don't keep a tracked reference to it, because the
                model itself saves its parts.
        """

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Sees the training data once, before training. Override it to start from them.

        `VAE.for_data` calls it, and so do presets and recipes, which use `for_data`. If
        you compose a model yourself, call it yourself: `vae.prior.adapt(x_train)`.

        Args:
            x: (N, *data_shape) training examples, finite.
            seed: the seed of anything random.
        """
        del x, seed
