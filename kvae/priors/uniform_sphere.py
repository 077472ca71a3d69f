"""The uniform prior on the sphere."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.priors.base import Prior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class UniformSphere(Prior):
    """The same density everywhere on the unit sphere; nothing to learn.

        p(z) = gamma(D / 2) / (2 pi^(D / 2)),  |z| = 1

    Densities are per unit of surface. Use it with the posterior `PowerSpherical`.

    Args:
        latent_dim: D, entries of z, at least 2; the sphere has D - 1 dimensions.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` is below 2.

    Source: De Cao, Aziz 2020, arXiv:2006.04437.
    """

    space = "the unit sphere"

    def __init__(self, latent_dim: int | tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(latent_dim, **kwargs)
        if self.latent_dim < 2:
            raise ValueError(
                "UniformSphere expects latent_dim of at least 2; received "
                f"{self.latent_dim}: a sphere in one dimension is two points."
            )

    @property
    def unit_variance(self) -> float:
        """1/D, the variance of each entry of z."""
        return 1.0 / self.latent_dim

    def call(self, condition: Tensor | None = None) -> Params:
        """Returns loc = 0, (D,), the center; the condition does not matter."""
        del condition
        return {"loc": tf.zeros((self.latent_dim,), self.maths_dtype)}

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.SphericalUniform` with batch () and event (D,)."""
        return tfd.SphericalUniform(self.latent_dim, dtype=params["loc"].dtype)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Computes noise / |noise|: (..., D).

        The temperature does not matter, because no point of the sphere is its center.
        """
        del params, temperature
        return tf.math.l2_normalize(noise, axis=-1)
