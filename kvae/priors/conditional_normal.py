"""The normal prior that depends on a condition."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow_probability as tfp

from kvae.core.types import Params, Tensor
from kvae.maths import softplus
from kvae.priors.conditional_prior import ConditionalPrior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class ConditionalNormal(ConditionalPrior):
    """A diagonal normal whose loc and scale are learned functions of the condition.

        p(z|c) = prod_d Normal(z[d]; loc[d](c), scale[d](c))
        scale  = min_scale + softplus(raw)

    It starts close to a standard normal, whatever the condition is. The KL divergence to
    it has a closed form for `DiagonalNormal` and `FullNormal`.

    Args:
        latent_dim: D, the number of latent dimensions.
        network: Keras network from the condition, (B, ...), to features; None maps the
            flattened condition linearly. Integer labels need `networks.OneHot(classes)`.
        min_scale: the smallest scale; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` or `min_scale` is not positive.

    Source: Sohn, Lee, Yan 2015, "Learning structured output representation using deep
        conditional generative models".
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        network: Any = None,
        *,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, network, min_scale, **kwargs)
        self._loc = self._head("loc", self.latent_dim, 0.0)
        self._raw_scale = self._head("raw_scale", self.latent_dim, self.UNIT_RAW_SCALE)

    def call(self, condition: Tensor | None = None) -> Params:
        """Maps the condition (B, ...) to loc and scale, each (B, D)."""
        loc, raw_scale = self._outputs(condition)
        return {"loc": loc, "scale": self.min_scale + softplus(raw_scale)}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch (B,) and event (D,)."""
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Computes loc + scale * temperature * noise: (..., B, D)."""
        return params["loc"] + params["scale"] * (temperature * noise)
