"""An objective for incomplete views of the data."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import LossParts
from kvae.masks import MaskFamily, as_family
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.completion import MASK_TAG
from kvae.objectives.wrapper import Wrapper

_LOG = logging.getLogger("kvae")
_DRAWS, _TIMES = 64, 16  # masks at a time, and how often, to find what they never show


@keras.saving.register_keras_serializable(package="kvae")
class Masked(Wrapper):
    """Hides another part of each example in each training step.

        loss = the wrapped objective of x_visible, a bound on log p(x_visible)

    The model learns p(x) from incomplete views, and its encoder learns to infer z from
    visible entries, which `complete` and `impute` need. An encoder with an input named
    "mask" sees which entries are visible. Nothing is hidden in evaluation. Entries that
    every mask hides, such as the future, are never learned; a warning says so.

    Args:
        objective: the objective of the visible entries; the plain `ELBO` if None.
        masks: a `kvae.masks` family, or its name, such as "random".
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `objective` is not an objective.
        ValueError: if `masks` is neither a family nor the name of one.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        masks: MaskFamily | str = "random",
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        self.masks = masks
        self._family = as_family(masks)
        self._warned = False

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the wrapped objective of the visible entries."""
        if training:
            self._warn_of_unseen(model.data_shape)
            visible = self._family.draw_from(
                noise.fold(MASK_TAG), tf.shape(inputs.x)[0], model.data_shape
            )
            if inputs.mask is not None:
                visible *= tf.cast(inputs.mask, visible.dtype)
            inputs = dataclasses.replace(inputs, mask=visible)
        else:  # raises when the model is built if the family can't mask such data
            self._family.num_uniforms(model.data_shape)
        return self.objective.parts(model, inputs, noise, training)

    def _warn_of_unseen(self, data_shape: tuple[int, ...]) -> None:
        """Warns once if the masks hide the same entries of all examples."""
        if self._warned:
            return
        self._warned = True
        never = np.ones(data_shape, bool)
        with tf.init_scope():  # eager, for the numbers, although a step is being traced
            for draw in range(_TIMES):
                masks = self._family.draw(_DRAWS, data_shape, (0, draw)).numpy()
                never &= ~masks.any(axis=0)
                if never.mean() <= 0.01:  # which may be chance
                    return
        _LOG.warning(
            "Masked: the masks hide %.0f %% of the entries in all examples, so the model "
            "never learns these entries. Take masks that move, such as masks=%s, or learn "
            "p(hidden | visible) with kvae.presets.completing_vae.",
            100 * never.mean(),
            '"stretch"' if len(data_shape) < 3 else '"rectangle"',
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        masks = self.masks
        if not isinstance(masks, str):
            masks = keras.saving.serialize_keras_object(masks)
        return {**super().get_config(), "masks": masks}
