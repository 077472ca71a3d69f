"""The reconstruction error."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score


class ReconstructionError(Score):
    """The root mean squared error of the reconstruction, in the units of the data.

        score = sqrt( mean_i (x_i - m_i)^2 ),   m = E[x|z] at the posterior mean of z

    It takes nothing from the scale of p(x|z), so that a likelihood which is very sure of
    black pixels does not decide. All entries should have one unit, as pixels do.

    Source: the score of autoencoders, Sakurada, Yairi 2014, "Anomaly detection using
        autoencoders with nonlinear dimensionality reduction", eq. 5.
    """

    name = "reconstruction_error"
    unit = "units of the data"

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the error over observed entries, (B,)."""
        del key, fitted
        z = model.posterior.mean(model.posterior_params(inputs))
        rebuilt = model.likelihood.mean(model.likelihood_params(z, inputs.condition))
        x = tf.cast(inputs.x, model.maths_dtype)
        squares = tf.square(x - tf.cast(rebuilt, x.dtype))
        counts = tf.ones_like(squares)
        if inputs.mask is not None:
            observed = tf.cast(inputs.mask, tf.bool)
            squares = tf.where(observed, squares, tf.zeros_like(squares))
            counts = tf.cast(observed, x.dtype)
        axes = list(range(1, len(x.shape)))
        count = tf.maximum(tf.reduce_sum(counts, axis=axes), 1.0)
        return tf.sqrt(tf.reduce_sum(squares, axis=axes) / count)
