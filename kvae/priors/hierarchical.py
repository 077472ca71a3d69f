"""The prior of a deep latent model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.types import Tensor
from kvae.networks import NormalNetwork
from kvae.networks.levels import check_levels
from kvae.priors.flow import FlowPrior

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class Hierarchical(FlowPrior):
    """Levels of latents, each a normal whose parameters depend on the level above.

        p(z) = Normal(z[L]; 0, 1) prod_l Normal(z[l]; loc_l(z[l+1]), scale_l(z[l+1]))

    z holds all levels side by side, the lowest (nearest the data) first. Drawn from the
    top down, each level is an affine map of its own noise, so the whole is a flow. Its
    partner is `posteriors.TopDown`. A decoder that starts with `networks.TakeFirst`
    only sees the lowest level.

    Args:
        latent_dims: dimensions of each level, the lowest first; two levels or more.
        units: width of each hidden layer between two levels.
        activation: of the hidden layers, any Keras activation.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dims` are not two or more positive integers.

    Source: Sonderby, Raiko, Maaloe, Sonderby, Winther 2016, arXiv:1602.02282; two
        levels: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519.
    """

    def __init__(
        self,
        latent_dims: tuple[int, ...],
        units: tuple[int, ...] = (128, 128),
        activation: Any = "relu",
        **kwargs: Any,
    ) -> None:
        dims = check_levels(type(self).__name__, latent_dims)
        super().__init__(sum(dims), num_steps=len(dims) - 1, units=units, **kwargs)
        self.latent_dims = dims
        self.activation = activation
        # In the precision of the densities, so that the inverse undoes the draw.
        self._levels = [
            NormalNetwork(
                dim,
                self.units,
                activation,
                name=f"level_{index}",
                dtype=self.maths_dtype,
            )
            for index, dim in enumerate(dims[:-1], start=1)
        ]
        for network, above in zip(self._levels, dims[1:], strict=True):
            network.build((None, above))

    def level(self, index: int, above: Tensor) -> tuple[Tensor, Tensor]:
        """Computes loc and scale of level `index` (0 is the lowest) given the next one.

        Args:
            index: of the level, below the top.
            above: (..., latent_dims[index + 1]) the next level.

        Returns:
            loc, scale: each (..., latent_dims[index]).
        """
        loc, scale = self._levels[index](above)
        return loc, scale

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Maps u (..., D) to z (..., D) and log |det dz/du| (...), from the top down."""
        parts = tf.split(u, self.latent_dims, axis=-1)
        log_det = tf.zeros_like(u[..., 0])
        for index in reversed(range(self.num_steps)):
            loc, scale = self.level(index, parts[index + 1])
            parts[index] = loc + scale * parts[index]
            log_det += tf.reduce_sum(tf.math.log(scale), axis=-1)
        return tf.concat(parts, axis=-1), log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...), all levels at once."""
        parts = tf.split(z, self.latent_dims, axis=-1)
        noise, log_det = list(parts), tf.zeros_like(z[..., 0])
        for index in range(self.num_steps):
            loc, scale = self.level(index, parts[index + 1])
            noise[index] = (parts[index] - loc) / scale
            log_det -= tf.reduce_sum(tf.math.log(scale), axis=-1)
        return tf.concat(noise, axis=-1), log_det

    def level_log_probs(self, z: Tensor) -> list[Tensor]:
        """Computes log p(z[l] | z[l+1]) of each level, lowest first: each (...) nats."""
        parts = tf.split(z, self.latent_dims, axis=-1)
        top = tfd.Normal(tf.zeros_like(parts[-1]), tf.ones_like(parts[-1]))
        normals = [
            tfd.Normal(*self.level(index, parts[index + 1]))
            for index in range(self.num_steps)
        ]
        return [
            tf.reduce_sum(normal.log_prob(part), axis=-1)
            for normal, part in zip([*normals, top], parts, strict=True)
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["latent_dim"], config["num_steps"]
        return {
            **config,
            "latent_dims": self.latent_dims,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
        }
