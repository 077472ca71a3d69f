"""The posterior of a deep latent model, inferred from the top down."""

from __future__ import annotations

import weakref
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_sizes
from kvae.core.types import Draw, Params, Tensor
from kvae.maths import softplus
from kvae.networks.levels import check_levels
from kvae.posteriors.flow import FlowPosterior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class TopDown(FlowPosterior):
    """Each level's posterior combines evidence from the data with the level above.

        q(z[L]|x)        = Normal(z[L]; loc_L(x), scale_L(x))
        q(z[l]|z[l+1],x) : the normalized product of Normal(z[l]; loc_l(x), scale_l(x))
                           and the prior p(z[l]|z[l+1])

    so precisions add, and a level that the data say nothing about stays at its prior.
    The evidence from the data goes up through one stack of dense layers per level; the
    prior is the model's own `priors.Hierarchical`. z holds the lowest level first.
    `fit` and `evaluate` report the rate of each level as `rate_1` (lowest), `rate_2`,
    ...

    Args:
        latent_dims: dimensions of each level, as in the prior.
        units: width of each hidden layer from one level up to the next.
        activation: of the hidden layers, any Keras activation.
        min_scale: the smallest scale of the data's normals.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dims` are not two or more positive integers, or the
            model's prior is not a `Hierarchical` of the same levels.

    Source: Sonderby, Raiko, Maaloe, Sonderby, Winther 2016, arXiv:1602.02282: the
        precision-weighted combination of bottom-up and top-down.
    """

    def __init__(
        self,
        latent_dims: tuple[int, ...],
        units: tuple[int, ...] = (128, 128),
        activation: Any = "relu",
        *,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        dims = check_levels(type(self).__name__, latent_dims)
        super().__init__(sum(dims), min_scale, **kwargs)
        self.latent_dims = dims
        self.units = check_sizes("units", units)
        self.activation = activation
        self._prior: Any = None
        del self._loc, self._raw_scale  # one pair per level instead
        self._ups = [
            [
                keras.layers.Dense(
                    width,
                    activation,
                    name=f"up_{level}_{index}",
                    dtype=self.dtype_policy,
                )
                for index, width in enumerate(self.units)
            ]
            for level in range(2, len(dims) + 1)
        ]
        self._locs = [self.head(f"loc_{i}", d) for i, d in enumerate(dims, start=1)]
        self._raw_scales = [
            self.head(f"raw_scale_{i}", d) for i, d in enumerate(dims, start=1)
        ]

    def attach(self, model: Any) -> None:
        """Remembers the prior, whose levels it combines with those of the data."""
        prior = model.prior
        # By its attributes, not by its class, because posteriors don't import priors.
        levels = getattr(prior, "latent_dims", None)
        if levels != self.latent_dims or not hasattr(prior, "level_log_probs"):
            raise ValueError(
                f"TopDown with latent_dims={self.latent_dims} needs the prior "
                f"priors.Hierarchical({self.latent_dims}); received {prior!r}."
            )
        # A weak reference is not tracked, because the model itself saves the prior.
        self._prior = weakref.ref(prior)

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Builds the bottom-up layers and the heads of each level."""
        width = self._flatten.compute_output_shape(features_shape)[-1]
        for level in range(len(self.latent_dims)):
            for layer in self._ups[level - 1] if level else ():
                layer.build((None, width))
                width = layer.units
            for head in (self._locs[level], self._raw_scales[level]):
                head.build((None, width))
        self.built = True

    def call(self, features: Tensor) -> Params:
        """Maps features (B, F) to the data's loc and scale, each (B, sum of dims)."""
        locs, raw_scales, hidden = [], [], self._flatten(features)
        for level in range(len(self.latent_dims)):
            for layer in self._ups[level - 1] if level else ():
                hidden = layer(hidden)
            locs.append(self.project(self._locs[level], hidden))
            raw_scales.append(self.project(self._raw_scales[level], hidden))
        return {
            "loc": tf.concat(locs, axis=-1),
            "scale": self.min_scale + softplus(tf.concat(raw_scales, axis=-1)),
        }

    def forward(self, params: Params, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., B, D) to z (..., B, D) and log |det dz/du| (..., B)."""
        parts, locs, scales = self._split(u, params)
        log_det = tf.zeros_like(u[..., 0])
        for index in reversed(range(len(parts) - 1)):
            noise = (parts[index] - locs[index]) / scales[index]
            loc, scale = self._join(index, parts[index + 1], locs[index], scales[index])
            parts[index] = loc + scale * noise
            log_det += tf.reduce_sum(tf.math.log(scale / scales[index]), axis=-1)
        return tf.concat(parts, axis=-1), log_det

    def inverse(self, params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., B, D) to u (..., B, D) and log |det du/dz| (..., B)."""
        parts, locs, scales = self._split(z, params)
        base, log_det = list(parts), tf.zeros_like(z[..., 0])
        for index in range(len(parts) - 1):
            loc, scale = self._join(index, parts[index + 1], locs[index], scales[index])
            noise = (parts[index] - loc) / scale
            base[index] = locs[index] + scales[index] * noise
            log_det -= tf.reduce_sum(tf.math.log(scale / scales[index]), axis=-1)
        return tf.concat(base, axis=-1), log_det

    def level_log_probs(self, params: Params, z: Tensor) -> list[Tensor]:
        """Computes log q(z[l] | z[l+1], x) of each level, lowest first: (..., B) nats."""
        parts, locs, scales = self._split(z, params)
        normals = [
            tfd.Normal(*self._join(index, above, locs[index], scales[index]))
            for index, above in enumerate(parts[1:])
        ]
        normals.append(tfd.Normal(locs[-1], scales[-1]))
        return [
            tf.reduce_sum(normal.log_prob(part), axis=-1)
            for normal, part in zip(normals, parts, strict=True)
        ]

    def report(self, draw: Draw) -> dict[str, Tensor]:
        """Estimates the rate of each level, (B,) nats; together they are the rate."""
        posterior = self.level_log_probs(draw.posterior, draw.z)
        prior = self._prior().level_log_probs(draw.z)
        return {
            f"rate_{level}": tf.reduce_mean(log_q - log_p, axis=0)
            for level, (log_q, log_p) in enumerate(
                zip(posterior, prior, strict=True), start=1
            )
        }

    def _split(
        self, z: Tensor, params: Params
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        vectors = (z, params["loc"], params["scale"])
        z_parts, locs, scales = (tf.split(v, self.latent_dims, -1) for v in vectors)
        return z_parts, locs, scales

    def _join(
        self, index: int, above: Tensor, loc: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Multiplies Normal(loc, scale) with the prior of this level: loc and scale."""
        prior_loc, prior_scale = self._prior().level(index, above)
        # In terms of the data's share of the total precision: no small number is squared
        # and inverted, so extreme scales neither overflow nor divide by zero.
        share = tf.square(prior_scale) / (tf.square(prior_scale) + tf.square(scale))
        joined_loc = prior_loc + share * (loc - prior_loc)
        return joined_loc, tf.sqrt(share) * scale

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["latent_dim"]
        return {
            **config,
            "latent_dims": self.latent_dims,
            "units": self.units,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
        }
