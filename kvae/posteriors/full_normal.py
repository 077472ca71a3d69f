"""The normal posterior with a full covariance."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_square, is_number
from kvae.core.types import Params, Tensor
from kvae.maths import softplus
from kvae.maths.triangular import diagonal, diagonal_part, strictly_lower
from kvae.posteriors.base import Posterior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class FullNormal(Posterior):
    """A normal posterior whose dimensions may depend on one another.

        q(z|x) = Normal(z; loc(x), L(x) L(x)^T),  L lower triangular
        L_ii   = min_scale + softplus(raw_ii)

    The entries below the diagonal start at zero, as in a diagonal normal.

    Args:
        latent_dim: D, the number of latent dimensions; the last layer grows with D^2.
        min_scale: the smallest entry on the diagonal of L; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` or `min_scale` is not positive.

    Source: Kingma, Welling 2019, "An introduction to variational autoencoders",
        arXiv:1906.02691.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        *,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        check_square("FullNormal", self.latent_dim)
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"FullNormal expects min_scale > 0; received {min_scale!r}. "
                "Leave it at 1e-4 unless learned scales reach it."
            )
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._raw_scale = self.head("raw_scale")
        self._below = None
        if self.latent_dim > 1:
            self._below = self.head(
                "below",
                self.latent_dim * (self.latent_dim - 1) // 2,
                kernel_initializer="zeros",
            )

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to loc (B, D) and scale_tril (B, D, D)."""
        scale = self.min_scale + softplus(self.project(self._raw_scale, features))
        scale_tril = diagonal(scale)
        if self._below is not None:
            below = self.project(self._below, features)
            scale_tril += strictly_lower(below, self.latent_dim)
        return {"loc": self.project(self._loc, features), "scale_tril": scale_tril}

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.MultivariateNormalTriL` with batch (B,) and event (D,).

        Its KL divergence to a normal with independent dimensions has a closed form.
        """
        return _TriangularNormal(params["loc"], params["scale_tril"])

    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Computes loc + L noise: (K, B, D)."""
        return params["loc"] + tf.linalg.matvec(params["scale_tril"], noise)

    def sample_and_log_prob(
        self, params: Params, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws z and its log-density, which needs only the noise and the diagonal of L.

        log q(z|x) = -sum_i( noise_i^2 / 2 + log(2 pi) / 2 + log L_ii )
        """
        entries = 0.5 * tf.square(noise) + 0.5 * math.log(2.0 * math.pi)
        entries += tf.math.log(diagonal_part(params["scale_tril"]))
        return self.sample(params, noise), -tf.reduce_sum(entries, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "min_scale": self.min_scale}


class _TriangularNormal(tfp.distributions.MultivariateNormalTriL):
    """Distinguishes our normals from TFP's when a divergence is looked up."""

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        parameters = dict(locals())
        super().__init__(loc=loc, scale_tril=scale_tril, name="FullNormal")
        self._parameters = parameters
        self._tril = scale_tril

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> Any:
        # Repeated here, because TFP warns about a subclass that inherits them.
        return super()._parameter_properties(dtype, num_classes)


@tfd.RegisterKL(_TriangularNormal, tfd.Independent)
def _kl_to_independent(q: Any, p: Any, name: str | None = None) -> Tensor:
    """KL(N(m, L L^T) || N(loc, scale^2)), in nats, without cancellation near zero.

    sum_i( (gap expm1 form of a one-dimensional KL with scale L_ii)
           + (m_i - loc_i)^2 / (2 scale_i^2) + sum_{j<i} L_ij^2 / (2 scale_i^2) )
    """
    del name
    if not isinstance(p.distribution, tfd.Normal):
        raise NotImplementedError("only for a normal with independent dimensions")
    loc, scale = p.distribution.loc, p.distribution.scale
    own_scale = diagonal_part(q._tril)
    gap = tf.math.log(own_scale) - tf.math.log(scale)
    below = tf.reduce_sum(tf.square(q._tril - diagonal(own_scale)), axis=-1)
    moved = (tf.square(q.loc - loc) + below) / tf.square(scale)
    return tf.reduce_sum(0.5 * (moved + tf.math.expm1(2.0 * gap)) - gap, axis=-1)
