"""Reconstructions compared by the features of another network."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.inputs import Inputs
from kvae.core.types import LossParts, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.iwae import IWAE
from kvae.objectives.weight import Schedule, Weight
from kvae.objectives.wrapper import Wrapper, innermost


@keras.saving.register_keras_serializable(package="kvae")
class Perceptual(Wrapper):
    """Adds the distance between x and its reconstruction in features of a fixed network.

        loss = data_weight * data term + KL term
               + weight * sum_l 0.5 mean( (f_l(x) - f_l(mean of p(x|z)))^2 )

    The mean is over the entries of feature map l. The network is frozen (its
    `trainable` is set to False), runs in inference mode, and is saved with the model.
    Missing entries of x are filled from the reconstruction, so they add nothing. The
    metric `perceptual` reports the distance. `rate`, `distortion`, and `elbo` don't
    include it.

    Args:
        objective: the objective to which the term is added; the plain `ELBO` if None.
        feature_model: Keras model from x, (B, *data_shape), to a tensor, or a list or
            dict of tensors. It includes any preprocessing.
        weight: weight of the feature distance, a number or a schedule (reported as
            `perceptual_weight`).
        data_weight: weight of the wrapped objective's data term, at least 0. The paper
            uses 0.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `feature_model` is not a Keras model.
        ValueError: if a weight is out of range, or, when the VAE is built, if the model
            takes another input shape or the wrapped objective is
            `IWAE(gradient="dreg")`.

    Source: Hou et al. 2017, "Deep feature consistent variational autoencoder",
        arXiv:1610.00291.
    """

    def __init__(
        self,
        objective: Objective | None = None,
        feature_model: Any = None,
        weight: float | Schedule = 1.0,
        *,
        data_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        if not isinstance(feature_model, keras.Model):
            raise TypeError(
                "Perceptual expects feature_model to be a Keras model from x to features; "
                f"received {feature_model!r}. You can take it from a classifier: "
                "keras.Model(net.input, net.get_layer(name).output)."
            )
        if not (is_number(data_weight) and data_weight >= 0):
            raise ValueError(
                "Perceptual expects data_weight to be finite and >= 0; received "
                f"{data_weight!r}."
            )
        feature_model.trainable = False
        self.feature_model = feature_model
        self.data_weight = data_weight
        self._weight = Weight(self, "weight", weight, metric="perceptual_weight")

    @property
    def weight(self) -> Any:
        """The weight of the distance: a Keras variable, or the schedule it follows."""
        return self._weight.current

    @weight.setter
    def weight(self, value: float) -> None:
        self._weight.assign(value)

    def attach(self, model: Any) -> None:
        """Checks that the feature model takes the model's examples."""
        super().attach(model)
        shape: Any = getattr(self.feature_model, "input_shape", None)
        fits = not isinstance(shape, tuple) or (
            len(shape) == len(model.data_shape) + 1
            and all(
                n in (None, m) for n, m in zip(shape[1:], model.data_shape, strict=True)
            )
        )
        if not fits:
            raise ValueError(
                f"the feature model takes inputs of shape {shape[1:]}, but examples have "
                f"the shape {model.data_shape}. Start the feature model with layers that "
                "reshape, resize, or repeat channels."
            )

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Adds the feature distance to the data term, (B,)."""
        if self._steers_gradients():
            raise ValueError(
                'Perceptual cannot wrap IWAE(gradient="dreg"), which scales the gradient '
                'from the decoder to q(z|x). Use gradient="stl" or "plain".'
            )
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        seen = model.likelihood.mean(draw.likelihood)  # (K, B, *data_shape)
        x = tf.cast(inputs.x, seen.dtype)
        x = tf.broadcast_to(x, tf.shape(seen))
        if inputs.mask is not None:
            x = tf.where(tf.cast(inputs.mask, tf.bool), x, seen)
        lead = tf.shape(seen)[:2]
        distance = tf.add_n(
            [
                tf.reshape(_half_mean_square(a - b), lead)
                for a, b in zip(self._features(x), self._features(seen), strict=True)
            ]
        )
        distance = tf.reduce_mean(distance, axis=0)
        weight = self._weight.at(model, distance.dtype)
        return dataclasses.replace(
            parts,
            data_term=self.data_weight * parts.data_term + weight * distance,
            metrics={
                **parts.metrics,
                "perceptual": distance,
                **self._weight.metrics(model),
            },
        )

    def _steers_gradients(self) -> bool:
        objective = innermost(self.objective)
        return isinstance(objective, IWAE) and objective.gradient == "dreg"

    def _features(self, x: Tensor) -> list[Tensor]:
        """Computes the features of images (K, B, *data_shape), each (K * B, ...)."""
        flat = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))
        flat = tf.ensure_shape(flat, (None, *x.shape[2:]))
        features = self.feature_model(flat, training=False)
        return [tf.cast(f, x.dtype) for f in keras.tree.flatten(features)]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        model = keras.saving.serialize_keras_object(self.feature_model)
        return {
            **super().get_config(),
            "feature_model": model,
            "weight": self._weight.config(),
            "data_weight": self.data_weight,
        }


def _half_mean_square(gap: Tensor) -> Tensor:
    """Averages over all axes except the first: (N, ...) to (N,)."""
    return 0.5 * tf.reduce_mean(tf.square(gap), axis=list(range(1, gap.shape.rank)))
