"""The inverse autoregressive flow posterior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import MOST_LAYERS, check_size, check_sizes
from kvae.core.types import Params, Tensor
from kvae.maths import softplus
from kvae.maths.triangular_solve import solve_in_order
from kvae.networks import MADE
from kvae.posteriors.flow import FlowPosterior


@keras.saving.register_keras_serializable(package="kvae")
class InverseAutoregressiveFlow(FlowPosterior):
    """A diagonal normal, then gated autoregressive updates; fast to draw from.

        m, s = MADE(z; context(x));  gate = sigmoid(s + forget_bias)
        z   <- gate * z + (1 - gate) * m,  log_det = sum_i log gate_i

    Between steps the order of the dimensions is reversed. Drawing z together with its
    log-density takes one pass. The log-density of any other z inverts the flow one
    dimension after another: D passes of each step's network.

    Args:
        latent_dim: D, the number of latent dimensions.
        num_steps: T, how many updates.
        units: width of each hidden layer of each step's network.
        context_dim: how many numbers computed from x each network gets, besides z.
        forget_bias: added to the gates' logits; positive starts near the identity.
        min_scale: the smallest scale of the first normal; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_steps` or `context_dim` is not a positive integer, or
            `latent_dim` or `min_scale` is not positive.

    Source: Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling 2016,
        arXiv:1606.04934.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        num_steps: int = 2,
        units: tuple[int, ...] = (128, 128),
        *,
        context_dim: int = 64,
        forget_bias: float = 1.0,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, min_scale, **kwargs)
        self.num_steps = check_size("num_steps", num_steps, most=MOST_LAYERS)
        check_size("context_dim", context_dim)
        self.units = check_sizes("units", units)
        self.context_dim = context_dim
        self.forget_bias = forget_bias
        self._context = self.head("context", context_dim, activation="elu")
        # In the precision of the densities, so that the inverse undoes the draw.
        self._steps = [
            MADE(
                self.latent_dim,
                self.units,
                context_dim=context_dim,
                name=f"step_{index}",
                dtype=self.maths_dtype,
            )
            for index in range(num_steps)
        ]

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to loc and scale (B, D), and context (B, context_dim)."""
        context = self.project(self._context, features)
        return {**self.base_params(features), "context": context}

    def forward(self, params: Params, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., B, D) to z (..., B, D) and log |det dz/du| (..., B)."""
        z, log_det = u, tf.zeros_like(u[..., 0])
        for step in self._steps:
            move, logit = self._decide(step, z, params)
            gate = tf.sigmoid(logit)
            z = tf.reverse(gate * z + (1.0 - gate) * move, axis=[-1])
            log_det -= tf.reduce_sum(softplus(-logit), axis=-1)
        return z, log_det

    def inverse(self, params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., B, D) to u (..., B, D) and log |det du/dz| (..., B)."""
        u, log_det = z, tf.zeros_like(z[..., 0])
        for step in reversed(self._steps):
            u = self._undo(step, tf.reverse(u, axis=[-1]), params)
            _, logit = self._decide(step, u, params)
            log_det += tf.reduce_sum(softplus(-logit), axis=-1)
        return u, log_det

    def _undo(self, step: MADE, after: Tensor, params: Params) -> Tensor:
        def update(before: Tensor) -> Tensor:
            move, logit = self._decide(step, before, params)
            # (after - (1 - gate) move) / gate, without a division by a tiny gate
            return after + tf.exp(-logit) * (after - move)

        return solve_in_order(update, after)

    def _decide(self, step: MADE, z: Tensor, params: Params) -> tuple[Tensor, Tensor]:
        move, raw = step(z, params["context"])
        return move, raw + self.forget_bias

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_steps": self.num_steps,
            "units": self.units,
            "context_dim": self.context_dim,
            "forget_bias": self.forget_bias,
        }
