"""The base of the posteriors that transform a diagonal normal."""

from __future__ import annotations

import abc
import math
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import is_number
from kvae.core.types import Params, Tensor
from kvae.maths import flow_distribution, softplus
from kvae.maths.flow_distribution import rows_of
from kvae.posteriors.base import Posterior

tfd = tfp.distributions


class FlowPosterior(Posterior):
    """A diagonal normal, pushed through an invertible map.

        u = loc(x) + scale(x) * noise,  z = f(u; x)
        log q(z|x) = log Normal(u; loc, scale) - log |det df/du|

    Subclassing guide: add parameters in `call` to those of `base_params`, and define
    `forward` and `inverse`.

    Args:
        latent_dim: D, the number of latent dimensions.
        min_scale: the smallest scale of u; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` or `min_scale` is not positive.

    Source: Rezende, Mohamed 2015, arXiv:1505.05770.
    """

    def __init__(
        self, latent_dim: int | tuple[int, ...], min_scale: float = 1e-4, **kwargs: Any
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"{type(self).__name__} expects min_scale > 0; received {min_scale!r}. "
                "Leave it at 1e-4 unless learned scales reach it."
            )
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._raw_scale = self.head("raw_scale")

    def base_params(self, features: Tensor) -> Params:
        """Maps features (B, F) to the loc and scale of u, each (B, D)."""
        return {
            "loc": self.project(self._loc, features),
            "scale": self.min_scale + softplus(self.project(self._raw_scale, features)),
        }

    @abc.abstractmethod
    def forward(self, params: Params, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., B, D) to z (..., B, D) and log |det dz/du| (..., B)."""

    @abc.abstractmethod
    def inverse(self, params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., B, D) to u (..., B, D) and log |det du/dz| (..., B)."""

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.TransformedDistribution` with batch (B,) and event (D,)."""
        return flow_distribution(
            self._base(params),
            lambda u: self.forward(params, u),
            lambda z: self.inverse(params, z),
            rows_of(self.distribution, params),
        )

    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Computes f(loc + scale * noise): (K, B, D)."""
        return self.forward(params, params["loc"] + params["scale"] * noise)[0]

    def sample_and_log_prob(
        self, params: Params, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws z and its log-density in one pass, without inverting the map."""
        z, log_det = self.forward(params, params["loc"] + params["scale"] * noise)
        entries = 0.5 * tf.square(noise) + 0.5 * math.log(2.0 * math.pi)
        entries += tf.math.log(params["scale"])
        return z, -tf.reduce_sum(entries, axis=-1) - log_det

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log q(z|x) of any z, (K, B) nats, by inverting the map."""
        z = z + tf.zeros_like(params["loc"])  # one row for each row of the parameters
        u, log_det = self.inverse(params, z)
        return self._base(params).log_prob(u) + log_det

    def mean(self, params: Params) -> Tensor:
        """The image of the mean of u, (B, D); the mean of z has no closed form."""
        return self.forward(params, params["loc"])[0]

    def _base(self, params: Params) -> Any:
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "min_scale": self.min_scale}
