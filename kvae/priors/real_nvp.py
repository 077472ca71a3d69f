"""The RealNVP prior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.networks import AffineCoupling
from kvae.priors.flow import FlowPrior


@keras.saving.register_keras_serializable(package="kvae")
class RealNVP(FlowPrior):
    """A flow of affine couplings, as fast to draw from as to evaluate.

        z[moved] = u[moved] * exp(log_scale(u[kept])) + shift(u[kept])

    Each step moves every second dimension, by amounts computed from the others; the
    next step moves the others. It starts close to a standard normal.

    Args:
        latent_dim: D, the number of latent dimensions, at least 2.
        num_steps: T, how many couplings; even numbers treat all dimensions alike.
        units: width of each hidden layer of each coupling's network.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` is below 2 or `num_steps` is not positive.

    Source: Dinh, Sohl-Dickstein, Bengio 2017, arXiv:1605.08803.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        *,
        num_steps: int = 6,
        units: tuple[int, ...] = (64, 64),
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, num_steps, units, **kwargs)
        if self.latent_dim < 2:
            raise ValueError(
                "RealNVP expects latent_dim of at least 2; received "
                f"{self.latent_dim}. With one dimension there is nothing to couple: use "
                "GaussianMixture."
            )
        # In the precision of the densities, so that the inverse undoes the draw.
        self._steps = [
            AffineCoupling(
                self.latent_dim,
                move_odd=index % 2 == 0,
                units=self.units,
                name=f"step_{index}",
                dtype=self.maths_dtype,
            )
            for index in range(num_steps)
        ]

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., D) to z (..., D) and log |det dz/du| (...)."""
        z, total = u, tf.zeros_like(u[..., 0])
        for step in self._steps:
            z, log_det = step(z)
            total += log_det
        return z, total

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...)."""
        u, total = z, tf.zeros_like(z[..., 0])
        for step in reversed(self._steps):
            u, log_det = step.inverse(u)
            total += log_det
        return u, total
