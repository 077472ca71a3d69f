"""The contract of a prior p(z) or p(z|c)."""

from __future__ import annotations

import abc
import math
from typing import Any

import tensorflow as tf

from kvae.core.checks import check_latent_shape, check_temperature
from kvae.core.part import Part
from kvae.core.types import Params, Tensor
from kvae.maths import maths_dtype


class Prior(Part):
    """p(z): parameters out, a distribution on demand.

    Subclassing guide: define `call`, `distribution` and `sample`. A prior that uses
    other parts of the model (VampPrior runs the encoder) overrides `attach`. One that
    starts from the training data (again VampPrior) overrides `adapt`. Create the
    variables in `__init__` or in `build(condition_shape=None)`.

    Args:
        latent_dim: D, the number of latent dimensions, or the shape of one latent; its
            size counts.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` is neither a positive integer nor a shape.
    """

    space: str = "R^D"
    """The space of the latents, which the posterior must share."""

    conditional: bool = False
    """Whether it is p(z|c), which needs a condition."""

    def __init__(self, latent_dim: int | tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shape = check_latent_shape(type(self).__name__, latent_dim)
        self.latent_dim = math.prod(shape)

    @property
    def maths_dtype(self) -> str:
        """The dtype of parameters and densities, never less than float32."""
        return maths_dtype(self.compute_dtype)

    @property
    def noise_dim(self) -> int:
        """How many standard normals one draw needs."""
        return self.latent_dim

    @property
    def unit_variance(self) -> float:
        """The variance with which that of a latent dimension is compared: is it active?"""
        return 1.0

    @abc.abstractmethod
    def call(self, condition: Tensor | None = None) -> Params:
        """Computes the parameters of p(z), or of p(z|c).

        Args:
            condition: (B, ...) the c of p(z|c), or None.

        Returns:
            params: in `maths_dtype`; without a batch axis if there is no condition.
        """

    @abc.abstractmethod
    def distribution(self, params: Params) -> Any:
        """Makes the `tfd.Distribution` with batch () or (B,) and event (D,)."""

    @abc.abstractmethod
    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Pushes standard normals forward to draws of p(z).

        Args:
            params: from `call`.
            noise: (..., noise_dim), independent N(0, 1).
            temperature: multiplies the spread within the prior; 1 draws from p(z). What
                `temperatures` returns.

        Returns:
            z: (..., D).
        """

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log p(z) in nats: z of (K, B, D) gives (K, B)."""
        return self.distribution(params).log_prob(z)

    def temperatures(self, value: Any) -> Any:
        """Reads the temperature that a user passes: here a number of at least 0."""
        return check_temperature(value)

    def start_fit(self, z: Tensor) -> None:
        """Sees latents of the data once before `kvae.fit_prior` fits this prior to them.

        Args:
            z: (N, D) draws from q(z|x).
        """
        del z

    def fit_loss(self, z: Tensor, seed: Tensor) -> Tensor:
        """What `kvae.fit_prior` minimizes: by default the mean of -log p(z), nats.

        Args:
            z: (B, D) draws from q(z|x).
            seed: (2,) int32, of anything random.

        Returns:
            loss: scalar.
        """
        del seed
        return -tf.reduce_mean(self.log_prob(self(None), z[None]))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "latent_dim": self.latent_dim}
