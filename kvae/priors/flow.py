"""The base of the priors that transform a standard normal."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import MOST_LAYERS, check_size, check_sizes
from kvae.core.types import Params, Tensor
from kvae.maths import flow_distribution
from kvae.maths.flow_distribution import Map
from kvae.priors.base import Prior

tfd = tfp.distributions


class FlowPrior(Prior):
    """A standard normal, pushed through a learned invertible map.

        z = f(u),  log p(z) = log Normal(u; 0, 1) + log |det du/dz|

    Subclassing guide: define `forward` and `inverse`.

    Args:
        latent_dim: D, the number of latent dimensions.
        num_steps: T, how many steps make up the map.
        units: width of each hidden layer of each step's network.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_steps` or `latent_dim` is not a positive integer.

    Source: Rezende, Mohamed 2015, arXiv:1505.05770.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        num_steps: int,
        units: tuple[int, ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        self.num_steps = check_size("num_steps", num_steps, most=MOST_LAYERS)
        self.units = check_sizes("units", units)
        self.built = True

    @abc.abstractmethod
    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., D) to z (..., D) and log |det dz/du| (...)."""

    @abc.abstractmethod
    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...)."""

    def call(self, condition: Tensor | None = None) -> Params:
        """Returns loc = 0 and scale = 1 of u, each (D,); the condition does not matter."""
        del condition
        shape = (self.latent_dim,)
        return {
            "loc": tf.zeros(shape, self.maths_dtype),
            "scale": tf.ones(shape, self.maths_dtype),
        }

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.TransformedDistribution` with batch () and event (D,)."""
        return flow_distribution(self._base(params), *self.maps(params))

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Computes f(temperature * noise): (..., D)."""
        forward, _ = self.maps(params)
        return forward(params["loc"] + params["scale"] * (temperature * noise))[0]

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log p(z) in nats: z of (K, B, D) gives (K, B)."""
        _, inverse = self.maps(params)
        u, log_det = inverse(z)
        return self._base(params).log_prob(u) + log_det

    def maps(self, params: Params) -> tuple[Map, Map]:
        """The two directions under some parameters; p(z|c) overrides it."""
        del params
        return self.forward, self.inverse

    def _base(self, params: Params) -> Any:
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_steps": self.num_steps,
            "units": self.units,
        }
