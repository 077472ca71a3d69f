"""An objective for incomplete views of the data."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import LossParts
from kvae.masks import MaskFamily, as_family
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.completion import MASK_TAG
from kvae.objectives.wrapper import Wrapper


@keras.saving.register_keras_serializable(package="kvae")
class Masked(Wrapper):
    """Hides another part of each example in each training step.

        loss = the wrapped objective of x_visible, a bound on log p(x_visible)

    The model learns p(x) from incomplete views, and its encoder learns to infer z from
    visible entries, which `complete` and `impute` need. An encoder with an input named
    "mask" sees which entries are visible. Nothing is hidden in evaluation.

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

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the wrapped objective of the visible entries."""
        if training:
            visible = self._family.draw_from(
                noise.fold(MASK_TAG), tf.shape(inputs.x)[0], model.data_shape
            )
            if inputs.mask is not None:
                visible *= tf.cast(inputs.mask, visible.dtype)
            inputs = dataclasses.replace(inputs, mask=visible)
        else:  # raises when the model is built if the family can't mask such data
            self._family.num_uniforms(model.data_shape)
        return self.objective.parts(model, inputs, noise, training)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        masks = self.masks
        if not isinstance(masks, str):
            masks = keras.saving.serialize_keras_object(masks)
        return {**super().get_config(), "masks": masks}
