"""The power spherical posterior."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import is_number
from kvae.core.types import Params, Tensor
from kvae.maths import softplus
from kvae.posteriors.base import Posterior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class PowerSpherical(Posterior):
    """A posterior on the unit sphere, around a direction.

        q(z|x) = (1 + direction(x) . z)^concentration(x) / Z(concentration(x)),  |z| = 1

    Z normalizes it over the sphere: densities are per unit of surface. Use it with the
    prior `UniformSphere`, to which the KL divergence has a closed form. A draw inverts
    the distribution function of the angle to the direction, so it is differentiable in
    both parameters.

    Args:
        latent_dim: D, entries of z, at least 2; the sphere has D - 1 dimensions.
        min_concentration: the smallest concentration, at least 0; 0 is uniform.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` is below 2 or `min_concentration` negative.

    Source: De Cao, Aziz 2020, arXiv:2006.04437.
    """

    space = "the unit sphere"

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        min_concentration: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        if self.latent_dim < 2:
            raise ValueError(
                f"PowerSpherical expects latent_dim of at least 2; received {latent_dim}: "
                "a sphere in one dimension is two points."
            )
        if not (is_number(min_concentration) and min_concentration >= 0):
            raise ValueError(
                "PowerSpherical expects min_concentration >= 0; received "
                f"{min_concentration!r}."
            )
        self.min_concentration = min_concentration
        self._direction = self.head("direction")
        self._raw_concentration = self.head("raw_concentration", 1)

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to loc (B, D), a direction, and concentration (B,)."""
        raw = self.project(self._direction, features)
        # A zero vector has no direction; this turns it to the first axis.
        raw += 1e-4 * tf.eye(1, self.latent_dim, dtype=raw.dtype)
        strength = self.project(self._raw_concentration, features)[:, 0]
        return {
            "loc": tf.math.l2_normalize(raw, axis=-1),
            "concentration": self.min_concentration + softplus(strength),
        }

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.PowerSpherical` with batch (B,) and event (D,)."""
        return _StablePowerSpherical(params["loc"], params["concentration"])

    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Pushes standard normals to the sphere, (K, B, D).

        The first entry of the noise gives the angle to the direction, through the
        quantile function of the Beta distribution; the others give the position on the
        circle of that angle.
        """
        return self._sample(params, noise)[0]

    def sample_and_log_prob(
        self, params: Params, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws z and its log-density, from the angle before it is rounded into z."""
        z, gap = self._sample(params, noise)
        return z, self.distribution(params).log_prob_of_gap(gap)

    def mean(self, params: Params) -> Tensor:
        """The mean direction, (B, D).

        The mean itself is shorter than 1, but the decoder only knows the unit sphere.
        """
        return params["loc"]

    def _sample(self, params: Params, noise: Tensor) -> tuple[Tensor, Tensor]:
        gap = _gap(0.5 * (self.latent_dim - 1), params["concentration"], noise[..., 0])
        tangent = tf.math.l2_normalize(noise[..., 1:], axis=-1)
        along = (1.0 - 2.0 * gap)[..., None]
        across = 2.0 * tf.sqrt(gap * (1.0 - gap))[..., None] * tangent
        upright = tf.concat([along, across], axis=-1)
        # The reflection that takes the first axis to the direction.
        first = tf.eye(1, self.latent_dim, dtype=noise.dtype)[0]
        mirror = tf.math.l2_normalize(first - params["loc"], axis=-1)
        product = tf.reduce_sum(upright * mirror, axis=-1, keepdims=True)
        return tf.math.l2_normalize(upright - 2.0 * product * mirror, axis=-1), gap

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "min_concentration": self.min_concentration}


def _gap(half: float, concentration: Tensor, noise: Tensor) -> Tensor:
    """Draws (1 - direction . z) / 2, which follows Beta(half, half + concentration).

    In this form it keeps its digits near 0, where a high concentration puts it. In
    float64 throughout: at a concentration of 1000, TFP's float32 quantiles are off in
    the fourth digit, and at 100000 in the first.
    """
    wide = tf.cast(concentration, tf.float64) + tf.zeros_like(noise, tf.float64)
    uniform = 0.5 * tf.math.erfc(tf.cast(-noise, tf.float64) / math.sqrt(2.0))
    # At 0 and 1 the quantile is an end of the range, where its gradient is not finite.
    uniform = tf.clip_by_value(uniform, 1e-30, 1.0 - 1e-15)
    gap = tfp.math.betaincinv(half * tf.ones_like(wide), half + wide, uniform)
    gap = tf.cast(gap, concentration.dtype)
    return tf.clip_by_value(gap, 1e-30, 1.0 - np.finfo(gap.dtype.name).eps)


class _StablePowerSpherical(tfp.distributions.PowerSpherical):
    """TFP's distribution, with density and entropy accurate at any concentration.

    With half = (D - 1) / 2 and gap = (1 - direction . z) / 2 = |direction - z|^2 / 4:

        log q = concentration log(1 - gap) - (D - 1) log 2 - half log pi
                - lgamma(half + concentration) + lgamma(2 half + concentration)
    """

    def log_prob_of_gap(self, gap: Tensor) -> Tensor:
        """The log-density at an angle: gap of (..., B) gives (..., B) nats."""
        return tf.math.xlog1py(self.concentration, -gap) - self._log_constant()

    def _log_constant(self) -> Tensor:
        half = tf.constant(0.5 * (self.event_shape[-1] - 1), self.dtype)
        powers = (2.0 * math.log(2.0) + math.log(math.pi)) * half
        return powers + tfp.math.log_gamma_difference(half, half + self.concentration)

    def _log_prob(self, x: Tensor) -> Tensor:
        distance = tf.reduce_sum(tf.square(self.mean_direction - x), axis=-1)
        return self.log_prob_of_gap(tf.minimum(0.25 * distance, 1.0))

    def _entropy(self, **unused: Any) -> Tensor:
        del unused
        # The difference of two large digammas, times a large number: 16 digits needed.
        concentration = tf.cast(self.concentration, tf.float64)
        half = 0.5 * (self.event_shape[-1] - 1)
        log_ratio = tf.math.digamma(half + concentration)
        log_ratio -= tf.math.digamma(2.0 * half + concentration)
        return self._log_constant() - tf.cast(concentration * log_ratio, self.dtype)
