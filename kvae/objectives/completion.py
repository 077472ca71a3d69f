"""An objective for hidden entries, given visible ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import LossParts
from kvae.masks import MaskFamily, as_family, visible_part, visible_shape
from kvae.networks.call import declared_inputs
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.wrapper import Wrapper

MASK_TAG = 0x3A5C
"""Folded into the noise of a pass, so masks are independent of latents."""


@keras.saving.register_keras_serializable(package="kvae")
class Completion(Wrapper):
    """Trains p(hidden | z, visible), with a new mask for each example in each step.

        loss = -E_q[log p(x_hidden | z, x_visible)] + KL(q(z|x) || p(z|x_visible))

    The visible part (`kvae.masks.visible_part`) is the model's condition. The decoder and
    the encoder must take it, and the prior may. The wrapped objective sees only the
    hidden entries, so every bound that it reports is a bound on
    log p(x_hidden | x_visible). In evaluation, the mask of example i is always the same.

    Pass plain data: `fit(x)`. Inputs that already have a condition, as
    `kvae.masks.given_visible` makes them, keep their masks. If you pass a mask with the
    data, the entries that it marks as missing are neither visible nor predicted.

    Args:
        objective: the objective of the conditional model; the plain `ELBO` if None.
        masks: a `kvae.masks` family, or its name, such as "left_half".
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `objective` is not an objective.
        ValueError: if `masks` is neither a family nor the name of one.

    Source: Sohn, Lee, Yan 2015, "Learning structured output representation using deep
        conditional generative models"; masks drawn at random: Ivanov, Figurnov, Vetrov
        2019, arXiv:1806.02382.
    """

    makes_condition = True

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
        """Computes the wrapped objective of the hidden entries."""
        inputs = self.conditional(model, inputs, noise)
        return self.objective.parts(model, inputs, noise, training)

    def conditional(self, model: Any, inputs: Inputs, noise: Noise) -> Inputs:
        """Draws masks and makes the inputs of the conditional model."""
        shape = visible_shape(model.data_shape)
        for name in ("encoder", "decoder"):
            if "condition" not in (declared_inputs(getattr(model, name)) or ()):
                raise ValueError(
                    f"Completion needs a model whose {name} takes the visible part as "
                    f"its condition, of shape {shape}. Build it with "
                    "kvae.presets.completing_vae, or pass condition_shape to the network."
                )
        if inputs.condition is not None:
            came = tuple(inputs.condition.shape[1:])
            if came != shape:
                raise ValueError(
                    f"Completion conditions on the visible part, of shape {shape}; "
                    f"received a condition of shape {came}. Omit the condition, or make "
                    "it with kvae.masks.given_visible."
                )
            return inputs
        x = tf.cast(inputs.x, model.maths_dtype)
        batch = tf.shape(x)[0]
        visible = self._family.draw_from(noise.fold(MASK_TAG), batch, model.data_shape)
        hidden = 1.0 - visible
        if inputs.mask is not None:
            observed = tf.cast(inputs.mask, visible.dtype)
            visible, hidden = visible * observed, hidden * observed
        part = visible_part(x, visible)
        return dataclasses.replace(inputs, condition=part, mask=hidden)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        masks = self.masks
        if not isinstance(masks, str):
            masks = keras.saving.serialize_keras_object(masks)
        return {**super().get_config(), "masks": masks}


def is_completing(model: Any) -> bool:
    """Returns whether a model was trained for p(hidden | visible)."""
    objective = getattr(model, "objective", None)
    while isinstance(objective, Wrapper) and not isinstance(objective, Completion):
        objective = objective.objective
    return isinstance(objective, Completion)
