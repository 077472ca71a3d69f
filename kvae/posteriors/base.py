"""The contract of a posterior q(z|x)."""

from __future__ import annotations

import abc
import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import check_latent_shape
from kvae.core.part import Part
from kvae.core.types import Draw, Params, Tensor, Walk
from kvae.maths import maths_dtype
from kvae.networks import Projection


class Posterior(Part):
    """q(z|x): features in, parameters out, a distribution on demand.

    Subclassing guide: make the heads in `__init__` with `self.head`, map features to
    parameters in `call` with `self.project`, and define `distribution` and `sample`
    (with the noise as an argument, so that a draw can be repeated and exported). If the
    density of a sample is cheaper than the density of an arbitrary point, as in a flow,
    override `sample_and_log_prob` too, and `log_prob_of_each` if many z under many x
    are cheaper together. If the closed-form mean is not `params["loc"]`, override
    `mean`. All parameters are cast to `self.maths_dtype`.

    Args:
        latent_dim: D, the number of latent dimensions, or the shape of one latent, such
            as (8, 8, 4). Parameters and draws are flat, D = 8 * 8 * 4; the model gives
            latents their shape wherever a network or a user sees them.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` is neither a positive integer nor a shape.
    """

    space: str = "R^D"
    """The space of the latents, which the prior must share."""

    cheap_pairs: bool = True
    """Whether the density of every z under every x is cheap, as `information` needs it."""

    def __init__(self, latent_dim: int | tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.latent_shape = check_latent_shape(type(self).__name__, latent_dim)
        self.latent_dim = math.prod(self.latent_shape)
        self._flatten = keras.layers.Flatten(dtype=self.dtype_policy)

    @property
    def maths_dtype(self) -> str:
        """The dtype of parameters and densities, never less than float32."""
        return maths_dtype(self.compute_dtype)

    @property
    def noise_dim(self) -> int:
        """How many standard normals one draw needs."""
        return self.latent_dim

    def head(self, name: str, units: int | None = None, **options: Any) -> Any:
        """Makes the linear map from features to one parameter of shape (B, units).

        Args:
            name: of the map.
            units: entries of the parameter; None for one per latent dimension. Latents
                with a shape keep their positions: features (B, 8, 8, F) are mapped to
                (8, 8, 4), position by position.
            **options: passed to the layer.
        """
        if units is None and len(self.latent_shape) > 1:
            return Projection(
                self.latent_shape, name=name, dtype=self.dtype_policy, **options
            )
        units = self.latent_dim if units is None else units
        return keras.layers.Dense(
            int(units), name=name, dtype=self.dtype_policy, **options
        )

    def project(self, head: Any, features: Tensor) -> Tensor:
        """Applies a head to features (B, ...): (B, units) in `maths_dtype`."""
        if isinstance(head, Projection):
            placed = keras.ops.cast(head(features), self.maths_dtype)
            return tf.reshape(placed, (-1, self.latent_dim))
        # Flat features stay flat, because Flatten would compute their shape at run time.
        flat = features if len(features.shape) == 2 else self._flatten(features)
        return keras.ops.cast(head(flat), self.maths_dtype)

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Builds every head for features of this shape."""
        self._flatten.build(features_shape)
        flat = self._flatten.compute_output_shape(features_shape)
        for layer in self._flatten_layers(include_self=False, recursive=False):
            if isinstance(layer, keras.layers.Dense) and not layer.built:
                layer.build(flat)
            if isinstance(layer, Projection) and not layer.built:
                layer.build(features_shape)
        self.built = True

    @abc.abstractmethod
    def call(self, features: Tensor) -> Params:
        """Maps features to the parameters of q(z|x).

        Args:
            features: (B, F), the encoder's output; further axes are flattened.

        Returns:
            params: each (B, ...), in `maths_dtype`.
        """

    @abc.abstractmethod
    def distribution(self, params: Params) -> Any:
        """Makes the `tfd.Distribution` with batch (B,) and event (D,)."""

    @abc.abstractmethod
    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Pushes standard normals forward to draws of q(z|x).

        Args:
            params: from `call`, each (B, ...).
            noise: (K, B, noise_dim), independent N(0, 1).

        Returns:
            z: (K, B, D), differentiable in `params`.
        """

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log q(z|x) in nats: z of (K, B, D) gives (K, B)."""
        return self.distribution(params).log_prob(z)

    def log_prob_of_each(self, params: Params, z: Tensor) -> Tensor:
        """Computes log q(z|x) of every z under every x: (..., D) gives (..., B) nats."""
        return self.log_prob(params, tf.expand_dims(z, -2))

    def sample_and_log_prob(
        self, params: Params, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws z and its log-density together: (K, B, D) and (K, B) nats."""
        z = self.sample(params, noise)
        return z, self.log_prob(params, z)

    def walk(self, params: Params, noise: Tensor) -> Walk:
        """Draws z, and computes along the way whatever else depends on it.

        Override it if drawing z runs the decoder or the prior, so that a training step
        runs them once.

        Args:
            params: from `call`.
            noise: (K, B, noise_dim), independent N(0, 1).
        """
        return Walk(*self.sample_and_log_prob(params, noise))

    def mean(self, params: Params) -> Tensor:
        """The mean of q(z|x), (B, D)."""
        return params["loc"]

    def active_means(self, draw: Draw) -> Tensor:
        """The values whose variance over x tells which latents are active, (B, D)."""
        return self.mean(draw.posterior)

    def level_rates(self, draw: Draw) -> Tensor | None:
        """The KL(q || p) of each level given those above, (K, B, L) nats, in closed form.

        None if the latents have no levels, or the KL of a level has no closed form.
        """
        del draw
        return None

    def report(self, draw: Draw) -> dict[str, Tensor]:
        """Further values that `fit` and `evaluate` report, by name; none by default.

        Args:
            draw: latents of one batch and the densities at them.

        Returns:
            values: each (B,) or a scalar.
        """
        del draw
        return {}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        shape = self.latent_shape
        given = self.latent_dim if len(shape) == 1 else shape
        return {**super().get_config(), "latent_dim": given}
