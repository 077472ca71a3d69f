"""The standard normal prior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.priors.base import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class StandardNormal(Prior):
    """The standard normal, without anything to learn.

        p(z) = prod_d Normal(z[d]; 0, 1)

    Args:
        latent_dim: D, the number of latent dimensions.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` is not a positive integer.

    Source: Kingma, Welling 2014, arXiv:1312.6114.
    """

    def call(self, condition: Tensor | None = None) -> Params:
        """Returns loc = 0 and scale = 1, each (D,); the condition does not matter."""
        del condition
        shape = (self.latent_dim,)
        return {
            "loc": tf.zeros(shape, self.maths_dtype),
            "scale": tf.ones(shape, self.maths_dtype),
        }

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch () and event (D,)."""
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Computes temperature * noise: (..., D)."""
        return params["loc"] + params["scale"] * (temperature * noise)
