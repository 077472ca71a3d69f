"""The diagonal normal posterior."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow_probability as tfp

from kvae.maths import softplus
from kvae.posteriors.base import Posterior
from kvae.types import Params, Tensor

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

    Source: Kingma, Welling 2014, arXiv:1312.6114, eq. 9 and appendix C.2.
    """

    def __init__(self, latent_dim: int, min_scale: float = 1e-4, **kwargs: Any) -> None:
        super().__init__(latent_dim, **kwargs)
        if not min_scale > 0:
            raise ValueError(
                f"DiagonalNormal expects min_scale > 0; received {min_scale!r}. "
                "Leave it at 1e-4 unless scales are seen to end there."
            )
        self.min_scale = min_scale
        self._flatten = keras.layers.Flatten(dtype=self.dtype_policy)
        self._loc = keras.layers.Dense(latent_dim, name="loc", dtype=self.dtype_policy)
        self._raw_scale = keras.layers.Dense(
            latent_dim, name="raw_scale", dtype=self.dtype_policy
        )

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Makes the two projections for features of this shape."""
        flat = self._flatten.compute_output_shape(features_shape)
        for projection in (self._loc, self._raw_scale):
            if not projection.built:
                projection.build(flat)
        self.built = True

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to loc and scale, each (B, D)."""
        flat = self._flatten(features)
        raw_scale = keras.ops.cast(self._raw_scale(flat), self.maths_dtype)
        return {
            "loc": keras.ops.cast(self._loc(flat), self.maths_dtype),
            "scale": self.min_scale + softplus(raw_scale),
        }

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch (B,) and event (D,)."""
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Computes loc + scale * noise: (K, B, D)."""
        return params["loc"] + params["scale"] * noise

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "min_scale": self.min_scale}
