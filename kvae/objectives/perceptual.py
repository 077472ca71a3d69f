"""Reconstructions compared as they look, and not pixel by pixel."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.inputs import Inputs
from kvae.core.types import LossParts, Tensor
from kvae.networks import Distance, FeatureDistance, MultiScaleSSIM
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.weight import Schedule, Weight, Weighted
from kvae.objectives.wrapper import Wrapper, refuse_dreg

_NAMES: dict[str, type[Distance]] = {
    "ms_ssim": MultiScaleSSIM,
    "features": FeatureDistance,
}


@keras.saving.register_keras_serializable(package="kvae")
class Perceptual(Weighted, Wrapper):
    """Adds a distance between x and its reconstruction that sees structure.

        loss = data_weight * data term + KL term
               + weight * distance(x, mean of p(x|z))

    The distance is fixed while the model trains, and saved with it. Missing entries of x
    are filled from the reconstruction, so they add nothing. The metric `perceptual`
    reports the distance, and `ms_ssim_distance` that of MS-SSIM. `rate`, `distortion`,
    and `elbo` don't include it.

    The distance is a number of the order of 1 for a whole picture, and the data term a sum
    over all entries in nats, so weights are large: the weight 1 of latent diffusion, which
    adds the distance to every entry, is `math.prod(data_shape)` here.

    Args:
        objective: the objective to which the term is added; the plain `ELBO` if None.
        distance: a `kvae.networks.Distance`, such as `networks.MultiScaleSSIM()` or what
            `networks.feature_distance(x)` trains; "ms_ssim"; "features", a network that
            `adapt` trains on the data; or a Keras model from x to a tensor, or a list or
            dict of tensors, whose features are compared by half their mean square.
        weight: weight of the distance, a number or a schedule (reported as
            `perceptual_weight`).
        data_weight: weight of the wrapped objective's data term, at least 0. Hou et al.
            use 0.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `distance` is not one of these.
        ValueError: if a weight is out of range, or, when the VAE is built, if the
            distance takes another shape, the wrapped objective is
            `IWAE(gradient="dreg")`, or `data_weight` is 0 and an objective inside
            trains a discriminator.

    Source: Hou et al. 2017, "Deep feature consistent variational autoencoder",
        arXiv:1610.00291; Zhang et al. 2018, LPIPS, arXiv:1801.03924; Wang, Simoncelli,
        Bovik 2003, "Multiscale structural similarity for image quality assessment".
    """

    def __init__(
        self,
        objective: Objective | None = None,
        distance: Any = None,
        weight: float | Schedule = 1.0,
        *,
        data_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        if isinstance(distance, str) and distance in _NAMES:
            distance = _NAMES[distance]()
        if isinstance(distance, keras.Model):
            distance = FeatureDistance(distance, normalize=False)
        if not isinstance(distance, Distance):
            raise TypeError(
                'Perceptual expects distance to be "ms_ssim", "features", a '
                "kvae.networks.Distance, or a Keras model from x to features; received "
                f"{distance!r}."
            )
        if not (is_number(data_weight) and data_weight >= 0):
            raise ValueError(
                "Perceptual expects data_weight to be finite and >= 0; received "
                f"{data_weight!r}."
            )
        self.distance = distance
        self.data_weight = data_weight
        self._weight = Weight(self, "weight", weight, metric="perceptual_weight")

    def attach(self, model: Any) -> None:
        """Checks that the distance takes the model's examples."""
        super().attach(model)
        refuse_dreg(self)
        if not self.data_weight and self.own_optimizers():
            raise ValueError(
                "data_weight=0 removes the term of the discriminator inside, which would "
                "not learn. Put it outside: Adversarial(Perceptual(..., data_weight=0))."
            )
        self.distance.prepare(model.data_shape)

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Shows the training data to the distance too."""
        super().adapt(x, seed)
        self.distance.adapt(x, seed)

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Adds the distance to the data term, (B,)."""
        parts, draw = self.wrapped_parts(model, inputs, noise, training)
        seen = model.likelihood.mean(draw.likelihood)  # (K, B, *data_shape)
        x = tf.cast(inputs.x, seen.dtype)
        x = tf.broadcast_to(x, tf.shape(seen))
        if inputs.mask is not None:
            x = tf.where(tf.cast(inputs.mask, tf.bool), x, seen)
        distance = self.distance(_flat(x), _flat(seen))
        distance = tf.reshape(distance, tf.shape(seen)[:2])
        distance = tf.reduce_mean(distance, axis=0)
        weight = self._weight.at(model, distance.dtype)
        return dataclasses.replace(
            parts,
            data_term=self.data_weight * parts.data_term + weight * distance,
            metrics={
                **parts.metrics,
                self.distance.metric: distance,
                **self._weight.metrics(model),
            },
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "distance": keras.saving.serialize_keras_object(self.distance),
            "weight": self._weight.config(),
            "data_weight": self.data_weight,
        }


def _flat(x: Tensor) -> Tensor:
    """Joins the axes of latents and examples: (K, B, ...) to (K * B, ...)."""
    flat = tf.reshape(x, tf.concat([[-1], tf.shape(x)[2:]], axis=0))
    return tf.ensure_shape(flat, (None, *x.shape[2:]))
