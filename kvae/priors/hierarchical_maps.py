"""The prior of a deep model of feature maps."""

from __future__ import annotations

import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_temperature
from kvae.core.types import Params, Tensor
from kvae.maths import flow_distribution
from kvae.maths.flow_distribution import Map, rows_of
from kvae.networks.condition import condition_rows
from kvae.networks.top_down_trunk import Choose
from kvae.priors.flow import FlowPrior


@keras.saving.register_keras_serializable(package="kvae")
class HierarchicalMaps(FlowPrior):
    """Maps of latents, each a normal whose parameters depend on all maps above.

        p(z) = prod_l Normal(z[l]; loc_l(z[<l]), scale_l(z[<l]))

    loc and scale come from the model's decoder, a `networks.TopDownTrunk`, which holds
    all weights. z is one vector with the top level first. Drawn from the top down, each
    level is an affine map of its own noise, so the whole is a flow. Its partner is
    `posteriors.TopDownMaps`. If the trunk takes a condition, this is p(z|c).

    Args:
        latent_dim: D, the latents of all levels: `trunk.latent_dim`.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if the model's decoder is not a `TopDownTrunk` with D latents.

    Source: Kingma et al. 2016, arXiv:1606.04934, section 5.2; Child 2020,
        arXiv:2011.10650.
    """

    def __init__(self, latent_dim: int, **kwargs: Any) -> None:
        super().__init__(latent_dim, num_steps=1, units=(1,), **kwargs)
        self._decoder: Any = None

    def attach(self, model: Any) -> None:
        """Remembers the decoder, which computes the prior of each level."""
        trunk = check_trunk(type(self).__name__, self, model)
        self.conditional = trunk.condition_dim > 0
        self._decoder = weakref.ref(trunk)

    def call(self, condition: Tensor | None = None) -> Params:
        """Returns loc = 0 and scale = 1 of u, each (D,), or those of p(z|c).

        Args:
            condition: (B, ...) the c of p(z|c), or None.

        Returns:
            params: of p(z|c), loc and scale are (B, D), and `condition` is (B, F), flat.
        """
        params = super().call()
        if not self.conditional:
            return params
        flat = tf.cast(self.trunk.flat_condition(condition), self.maths_dtype)
        zeros = tf.zeros_like(flat[:, :1])
        rows = {name: value + zeros for name, value in params.items()}
        return {**rows, "condition": flat}

    def maps(self, params: Params) -> tuple[Map, Map]:
        """The two directions under the condition in the parameters."""
        condition = params.get("condition")
        return (
            lambda u: self.forward(u, condition),
            lambda z: self.inverse(z, condition),
        )

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.TransformedDistribution` with batch () or (B,) and event (D,)."""
        if not self.conditional:
            return super().distribution(params)
        select = rows_of(self.distribution, params)
        return flow_distribution(self._base(params), *self.maps(params), select)

    def forward(
        self, u: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Maps u to z and log |det dz/du|, from the top down.

        Args:
            u: (..., D).
            condition: (B, F), flat, of u (..., B, D); None if the trunk takes none.

        Returns:
            z: (..., D).
            log_det: (...).
        """
        parts = self._split(u)
        found: list[Tensor] = []
        log_det: list[Tensor] = []

        def choose(index: int, h: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
            del h
            found.append(loc + scale * parts[index])
            log_det.append(tf.reduce_sum(tf.math.log(scale), axis=-1))
            return found[-1]

        self._descend(choose, condition, u)
        return self._shaped(tf.concat(found, axis=-1), u), self._summed(log_det, u)

    def inverse(
        self, z: Tensor, condition: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Maps z (..., D) to u (..., D) and log |det du/dz| (...), as `forward`."""
        parts = self._split(z)
        found: list[Tensor] = []
        log_det: list[Tensor] = []

        def choose(index: int, h: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
            del h
            found.append((parts[index] - loc) / scale)
            log_det.append(-tf.reduce_sum(tf.math.log(scale), axis=-1))
            return parts[index]

        self._descend(choose, condition, z)
        return self._shaped(tf.concat(found, axis=-1), z), self._summed(log_det, z)

    def temperatures(self, value: Any) -> np.ndarray:
        """Reads a temperature for each latent dimension, (D,).

        Args:
            value: a number for all; one for each level, from the top; or a dict of them
                by the size of the map, such as {"7x7": 0.8}, 1 where none is given.

        Raises:
            ValueError: if a number is negative, or levels are not those of the trunk.
        """
        maps = self.trunk.maps
        if isinstance(value, dict):
            unknown = sorted(set(value) - set(maps.names))
            if unknown:
                raise ValueError(
                    f"temperature names the maps {', '.join(dict.fromkeys(maps.names))}; "
                    f"received {unknown[0]!r}."
                )
            value = [value.get(name, 1.0) for name in maps.names]
        if not isinstance(value, (tuple, list, np.ndarray)) or not np.ndim(value):
            return np.full(self.latent_dim, check_temperature(value))
        if len(value) != len(maps.names):
            raise ValueError(
                f"temperature must be a number, or one for each of the "
                f"{len(maps.names)} levels; received {len(value)}."
            )
        each = [check_temperature(float(one)) for one in value]
        return np.repeat(each, maps.dims)

    @property
    def trunk(self) -> Any:
        """The decoder of the model, a `networks.TopDownTrunk`."""
        trunk = self._decoder and self._decoder()
        if trunk is None:
            raise ValueError(
                "HierarchicalMaps works through the decoder of a model; pass it to "
                "kvae.VAE(prior=...) first, and keep that model."
            )
        return trunk

    def _descend(self, choose: Choose, condition: Tensor | None, value: Tensor) -> None:
        rows = None if condition is None else condition_rows(condition, value)
        self.trunk.descend(choose, rows)

    def _split(self, value: Tensor) -> list[Tensor]:
        rows = tf.reshape(tf.cast(value, self.maths_dtype), (-1, self.latent_dim))
        parts: list[Tensor] = tf.split(rows, self.trunk.maps.dims, axis=-1)
        return parts

    def _shaped(self, rows: Tensor, like: Tensor) -> Tensor:
        return rows if len(like.shape) == 2 else tf.reshape(rows, tf.shape(like))

    def _summed(self, log_det: list[Tensor], like: Tensor) -> Tensor:
        # The top level has one row for all.
        total = sum(
            log_det, tf.zeros_like(tf.reshape(like, (-1, self.latent_dim))[:, 0])
        )
        return total if len(like.shape) == 2 else tf.reshape(total, tf.shape(like)[:-1])

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["num_steps"], config["units"]
        return config


def check_trunk(name: str, part: Any, model: Any) -> Any:
    """Returns the decoder of a model if it is a trunk with the latents of a part.

    Args:
        name: of the part, for the message.
        part: a prior or posterior.
        model: the `kvae.VAE`.

    Raises:
        ValueError: if it is not.
    """
    decoder = model.decoder
    if getattr(decoder, "latent_dim", None) != part.latent_dim or not hasattr(
        decoder, "descend"
    ):
        raise ValueError(
            f"{name} with latent_dim={part.latent_dim} needs the decoder "
            f"networks.TopDownTrunk with as many latents; received {decoder!r}. "
            "kvae.presets.deep_vae makes all parts."
        )
    return decoder
