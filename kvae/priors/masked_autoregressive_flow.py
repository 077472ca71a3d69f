"""The masked autoregressive flow prior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.maths.triangular_solve import solve_in_order
from kvae.networks import MADE
from kvae.priors.flow import FlowPrior

_MAX_LOG_SCALE = 3.0  # keeps each step invertible in floating point


@keras.saving.register_keras_serializable(package="kvae")
class MaskedAutoregressiveFlow(FlowPrior):
    """A flow in which each dimension is a normal given those before it; fast to evaluate.

        u[d] = (z[d] - shift[d](z[<d])) * exp(-log_scale[d](z[<d]))

    Between steps the order of the dimensions is reversed. A density takes one pass of each
    step's network; a draw takes D passes, one dimension after another. It starts close to
    a standard normal.

    Args:
        latent_dim: D, the number of latent dimensions.
        num_steps: T, how many steps.
        units: width of each hidden layer of each step's network.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_steps` or `latent_dim` is not a positive integer.

    Source: Papamakarios, Pavlakou, Murray 2017, arXiv:1705.07057.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        *,
        num_steps: int = 4,
        units: tuple[int, ...] = (64, 64),
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, num_steps, units, **kwargs)
        # In the precision of the densities, so that the inverse undoes the draw.
        self._steps = [
            MADE(
                self.latent_dim,
                self.units,
                name=f"step_{index}",
                dtype=self.maths_dtype,
            )
            for index in range(num_steps)
        ]

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., D) to z (..., D) and log |det dz/du| (...)."""
        z, total = u, tf.zeros_like(u[..., 0])
        for step in self._steps:
            z = self._draw(step, z)
            total += tf.reduce_sum(_decide(step, z)[1], axis=-1)
            z = tf.reverse(z, axis=[-1])
        return z, total

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...)."""
        u, total = z, tf.zeros_like(z[..., 0])
        for step in reversed(self._steps):
            u = tf.reverse(u, axis=[-1])
            shift, log_scale = _decide(step, u)
            u = (u - shift) * tf.exp(-log_scale)
            total -= tf.reduce_sum(log_scale, axis=-1)
        return u, total

    def _draw(self, step: MADE, u: Tensor) -> Tensor:
        def update(z: Tensor) -> Tensor:
            shift, log_scale = _decide(step, z)
            return u * tf.exp(log_scale) + shift

        return solve_in_order(update, u)


def _decide(step: MADE, z: Tensor) -> tuple[Tensor, Tensor]:
    shift, raw = step(z)
    return shift, _MAX_LOG_SCALE * tf.tanh(raw / _MAX_LOG_SCALE)
