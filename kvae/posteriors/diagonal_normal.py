"""The diagonal normal posterior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow_probability as tfp

from kvae.core.checks import is_number
from kvae.core.types import Params, Tensor
from kvae.maths import normals_at_points, softplus
from kvae.posteriors.base import Posterior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class DiagonalNormal(Posterior):
    """A normal posterior whose dimensions are independent given x.

        q(z|x) = prod_d Normal(z[d]; loc[d](x), scale[d](x))
        scale  = min_scale + softplus(raw)

    Args:
        latent_dim: D, the number of latent dimensions.
        min_scale: the smallest scale; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` or `min_scale` is not positive.

    Source: Kingma, Welling 2014, arXiv:1312.6114, appendix C.2.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        *,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"DiagonalNormal expects min_scale > 0; received {min_scale!r}. "
                "Leave it at 1e-4 unless learned scales reach it."
            )
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._raw_scale = self.head("raw_scale")

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to loc and scale, each (B, D)."""
        return {
            "loc": self.project(self._loc, features),
            "scale": self.min_scale + softplus(self.project(self._raw_scale, features)),
        }

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch (B,) and event (D,)."""
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Computes loc + scale * noise: (K, B, D)."""
        return params["loc"] + params["scale"] * noise

    def log_prob_of_each(self, params: Params, z: Tensor) -> Tensor:
        """Computes log q(z|x) of every z under every x: (..., D) gives (..., B) nats."""
        return normals_at_points(z, params["loc"], params["scale"])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "min_scale": self.min_scale}
