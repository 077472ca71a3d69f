"""The Sylvester flow posterior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import MOST_LAYERS, check_size, check_square
from kvae.core.types import Params, Tensor
from kvae.maths.sylvester import (
    householder_product,
    sylvester_forward,
    sylvester_inverse,
)
from kvae.maths.triangular import diagonal, strictly_lower
from kvae.posteriors.flow import FlowPosterior

_BOUND = 0.99  # bound of the diagonals, so that each slope stays above 1 - 0.99^2


@keras.saving.register_keras_serializable(package="kvae")
class SylvesterFlow(FlowPosterior):
    """A diagonal normal, then residual steps whose every parameter depends on x.

        z <- z + Q R tanh(S Q^T z + b)

    R and S are upper triangular, with diagonals in (-0.99, 0.99), which makes every step
    invertible; Q is a product of Householder reflections. The log-density of any z inverts
    the steps numerically, to the precision of the dtype.

    Args:
        latent_dim: D, the number of latent dimensions; the last layer grows with D^2.
        num_steps: T, how many steps.
        num_reflections: H, reflections that make up each Q; 0 keeps Q = 1.
        min_scale: the smallest scale of the first normal; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_steps` is not a positive integer, `num_reflections` is
            negative, or `latent_dim` or `min_scale` is not positive.

    Source: van den Berg, Hasenclever, Tomczak, Welling 2018, arXiv:1803.05649 (the
        variant with Householder reflections and as many hidden units as dimensions).
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        num_steps: int = 4,
        *,
        num_reflections: int = 4,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, min_scale, **kwargs)
        latent_dim = self.latent_dim
        check_size("num_steps", num_steps, most=MOST_LAYERS)
        check_size("num_reflections", num_reflections, 0, MOST_LAYERS)
        check_square("SylvesterFlow", latent_dim)
        self.num_steps = num_steps
        self.num_reflections = num_reflections
        sizes = {"bias": latent_dim, "r_diagonal": latent_dim, "s_diagonal": latent_dim}
        if latent_dim > 1:
            off_diagonal = latent_dim * (latent_dim - 1) // 2
            sizes |= {"r_above": off_diagonal, "s_above": off_diagonal}
        # Small kernels start the flow near the identity, whatever x is.
        small = keras.initializers.VarianceScaling(0.01, "fan_avg", "uniform")
        self._flow_heads = {
            name: self.head(name, num_steps * size, kernel_initializer=small)
            for name, size in sizes.items()
        }
        self._reflections = None
        if num_reflections:
            self._reflections = self.head(
                "reflections",
                num_steps * num_reflections * latent_dim,
                bias_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=0),
            )

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Builds every head for features of this shape."""
        super().build(features_shape)
        flat = self._flatten.compute_output_shape(features_shape)
        for head in self._flow_heads.values():
            if not head.built:
                head.build(flat)

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to loc and scale (B, D), and the parameters of the steps.

        Returns:
            params: loc and scale (B, D); q, r and s (B, T, D, D); bias (B, T, D).
        """
        dim, steps = self.latent_dim, self.num_steps
        raw = {
            name: tf.reshape(
                self.project(head, features), (-1, steps, head.units // steps)
            )
            for name, head in self._flow_heads.items()
        }
        params = {**self.base_params(features), "bias": raw["bias"]}
        for name in ("r", "s"):
            params[name] = diagonal(_BOUND * tf.tanh(raw[f"{name}_diagonal"]))
            if dim > 1:
                below = strictly_lower(raw[f"{name}_above"], dim)
                params[name] += tf.linalg.matrix_transpose(below)
        if self._reflections is None:
            vectors = tf.zeros_like(params["r"][..., :0, :])
        else:
            vectors = tf.reshape(
                self.project(self._reflections, features),
                (-1, steps, self.num_reflections, dim),
            )
        params["q"] = householder_product(vectors)
        return params

    def forward(self, params: Params, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., B, D) to z (..., B, D) and log |det dz/du| (..., B)."""
        z, total = u, tf.zeros_like(u[..., 0])
        for index in range(self.num_steps):
            z, log_det = sylvester_forward(z, _step(params, index))
            total += log_det
        return z, total

    def inverse(self, params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., B, D) to u (..., B, D) and log |det du/dz| (..., B)."""
        u, total = z, tf.zeros_like(z[..., 0])
        for index in reversed(range(self.num_steps)):
            u, log_det = sylvester_inverse(u, _step(params, index))
            total += log_det
        return u, total

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_steps": self.num_steps,
            "num_reflections": self.num_reflections,
        }


def _step(params: Params, index: int) -> Params:
    return {name: params[name][:, index] for name in ("q", "r", "s", "bias")}
