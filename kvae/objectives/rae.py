"""The regularized deterministic autoencoder."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.inputs import Inputs
from kvae.core.types import Draw, LossParts, Params, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.weight import Schedule, Weight

_PROBE = 0xAE
_REGULARIZERS = ("l2", "gradient_penalty", None)


@keras.saving.register_keras_serializable(package="kvae")
class RAE(Objective):
    """Trains a deterministic code: no noise, a small code, and a smooth decoder.

        z    = mean of q(z|x)
        loss = -log p(x|z) + beta / 2 |z|^2 + regularizer_weight * R
        R    = sum of squares of the decoder's weights            ("l2")
             = | d decoder_mean / dz |^2 at the code, summed      ("gradient_penalty")

    This is not a variational model. A point has an infinite KL from any density, so
    `rate`, `elbo`, `bits_per_dim`, and `vae.elbo(x)` are NaN. Use `loss`, `distortion`
    (-log p(x|z) at the code, nats), and the metrics `code_norm` (|z|^2 / 2) and
    `decoder_regularizer` (R). Only the posterior's mean is trained. The prior does not
    fit the codes, so to sample, fit a density to `encode(x).mean()` after training.

    The squared Jacobian norm is estimated without bias as |v' J|^2, with one normal v in
    data space per example.

    Args:
        beta: weight of the code's norm, a number or a schedule.
        regularizer: "l2", "gradient_penalty" or None.
        regularizer_weight: lambda, at least 0.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is out of range.

    Source: Ghosh et al. 2020, "From variational to deterministic autoencoders",
        arXiv:1903.12436.
    """

    monitor = "loss"  # there is no ELBO to monitor
    monitor_mode = "min"

    def __init__(
        self,
        beta: float | Schedule = 1e-2,
        regularizer: str | None = "l2",
        regularizer_weight: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if regularizer not in _REGULARIZERS:
            raise ValueError(
                f"RAE expects regularizer to be one of {_REGULARIZERS}; received "
                f"{regularizer!r}."
            )
        if not (is_number(regularizer_weight) and regularizer_weight >= 0):
            raise ValueError(
                "RAE expects regularizer_weight to be finite and >= 0; received "
                f"{regularizer_weight!r}."
            )
        self.regularizer = regularizer
        self.regularizer_weight = regularizer_weight
        self._beta = Weight(self, "beta", beta)

    @property
    def beta(self) -> Any:
        """The weight of the code's norm: a Keras variable, or its schedule."""
        return self._beta.current

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta.assign(value)

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes reconstruction, code norm, and decoder regularizer, each (B,)."""

        def code(params: Params, base: Tensor) -> tuple[Tensor, Tensor]:
            z = model.posterior.mean(params)[None]
            return z, tf.fill(tf.shape(base)[:2], tf.constant(np.nan, z.dtype))

        draw = model.draw(inputs, noise, 1, training, code)
        z = draw.z[0]
        distortion = -draw.log_likelihood[0]
        norm = 0.5 * tf.reduce_sum(tf.square(z), axis=-1)
        regularizer = self._regularizer(model, z, inputs.condition, noise, training)
        # Weights for the spread of q(z|x) don't affect the loss. A gradient of zero
        # instead of None keeps optimizers from warning about forgotten variables.
        unused = tf.add_n([tf.reduce_sum(v) for v in draw.posterior.values()]) * 0.0
        weighted = self.regularizer_weight * regularizer
        return LossParts(
            distortion=distortion,
            rate=self.rate(model, draw),
            data_term=distortion + weighted + unused,
            kl_term=self._beta.at(model, norm.dtype) * norm,
            posterior_mean=z,
            metrics={
                "code_norm": norm,
                "decoder_regularizer": regularizer,
                **self._beta.metrics(model),
            },
            draw=draw,
        )

    def rate(self, model: Any, draw: Draw) -> Tensor:
        """Returns NaN, (B,), because a deterministic code has no finite KL from a prior."""
        del model
        return tf.fill(
            tf.shape(draw.log_likelihood)[1:],
            tf.constant(np.nan, draw.log_likelihood.dtype),
        )

    def _regularizer(
        self, model: Any, z: Tensor, condition: Any, noise: Noise, training: bool
    ) -> Tensor:
        if self.regularizer is None:
            return tf.zeros_like(z[:, 0])
        if self.regularizer == "l2":
            heads = model.likelihood._flatten_layers(include_self=False)
            layers = [model.decoder, *heads]
            weights = {id(w): w for layer in layers for w in layer.trainable_variables}
            squares = [
                tf.reduce_sum(tf.square(tf.cast(w.value, z.dtype)))
                for w in weights.values()
            ]
            return tf.add_n(squares) * tf.ones_like(z[:, 0])
        probe = noise.fold(_PROBE).normal(
            1, tf.shape(z)[0], math.prod(model.data_shape), z.dtype.name
        )[0]
        with tf.GradientTape() as tape:
            tape.watch(z)
            mean = model.likelihood.mean(
                model.likelihood_params(z, condition, training)
            )
            projected = tf.reduce_sum(
                tf.reshape(tf.cast(mean, z.dtype), tf.shape(probe)) * probe
            )
        # Building the model runs this once while tapes are paused: zeros then, not None.
        gradient = tape.gradient(projected, z, unconnected_gradients="zero")
        return tf.reduce_sum(tf.square(gradient), axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "beta": self._beta.config(),
            "regularizer": self.regularizer,
            "regularizer_weight": self.regularizer_weight,
        }
