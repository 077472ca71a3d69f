"""The posterior of a deep model of feature maps."""

from __future__ import annotations

import math
import weakref
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_size, is_number
from kvae.core.types import Draw, Params, Tensor, Walk
from kvae.maths import flow_distribution, softplus
from kvae.maths.flow_distribution import rows_of
from kvae.networks.condition import condition_rows
from kvae.networks.map_levels import MapLevels, kernel_size
from kvae.posteriors.base import Posterior
from kvae.posteriors.level_terms import LevelTerms

tfd = tfp.distributions

_UNIT = math.log(math.e - 1.0)  # softplus of it is 1


@keras.saving.register_keras_serializable(package="kvae")
class TopDownMaps(Posterior):
    """Maps of latents, each inferred from the data and from all maps above.

        q(z|x) = prod_l Normal(z[l]; loc, scale),  loc and scale of h[l] and e_l(x)

    h[l] is the hidden map of the model's decoder, a `networks.TopDownTrunk`, which
    depends on the levels above; e_l(x) is the encoder's map of the same size
    (`networks.bottom_up_encoder`). With `residual`, a level moves away from its prior:

        loc = loc_p + d_loc(h, e),   scale = scale_p * d_scale(h, e)

    Latents, both densities, the KL of each level, and the decoder's features come from
    one pass through the trunk. `fit` and `evaluate` report the rate of each size of
    maps, such as `rate_7x7`. `active_units` counts by the distance of the posterior's
    mean from the prior's, in scales of the prior.

    Args:
        levels: (height, width, count) of each size, as in the trunk.
        latent_channels: as in the trunk.
        width: channels of the hidden maps, as in the trunk and in the encoder.
        residual: whether loc and scale are relative to those of the prior.
        squeeze: factor between the width and the channels inside a block.
        activation: any Keras activation.
        min_scale: the smallest scale, relative to the prior's if `residual`.
        condition_dim: numbers in a flat condition, the trunk's `condition_dim`. They
            follow the maps in the encoder's features.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if the model's decoder and prior are not those of the same levels.

    Source: Sonderby et al. 2016, arXiv:1602.02282, and Kingma et al. 2016,
        arXiv:1606.04934, for the shared path from the top down; relative to the prior:
        Vahdat, Kautz 2020, arXiv:2007.03898, equation 2 and section 3.2.
    """

    cheap_pairs = False  # each pair is a pass through the trunk

    def __init__(
        self,
        levels: tuple[tuple[int, int, int], ...],
        latent_channels: int | tuple[int, ...] = 8,
        width: int | tuple[int, ...] = 64,
        *,
        residual: bool = True,
        squeeze: int = 2,
        activation: Any = "silu",
        min_scale: float = 1e-4,
        condition_dim: int = 0,
        **kwargs: Any,
    ) -> None:
        maps = MapLevels.of(type(self).__name__, levels, latent_channels, width)
        super().__init__(maps.latent_dim, **kwargs)
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"TopDownMaps expects min_scale > 0; received {min_scale!r}. Leave it at "
                "1e-4 unless learned scales reach it."
            )
        self.maps = maps
        self.levels = tuple(tuple(int(n) for n in level) for level in levels)
        self.latent_channels, self.width = latent_channels, width
        self.residual = residual
        self.squeeze = check_size("squeeze", squeeze)
        self.activation = activation
        self.min_scale = min_scale
        self.condition_dim = check_size("condition_dim", condition_dim, 0)
        self._act = keras.activations.get(activation)
        self._decoder: Any = None
        options = {"dtype": self.dtype_policy, "kernel_initializer": "he_normal"}
        layers: dict[str, list[Any]] = {"of_h": [], "of_x": [], "mix": [], "head": []}
        every = zip(maps.sizes, maps.channels, maps.widths, strict=True)
        for index, (size, channels, wide) in enumerate(every):
            few = max(1, wide // self.squeeze)
            conv = keras.layers.Conv2D
            # Two convolutions in place of one of the maps side by side, so that the one
            # of x runs once for all latents of an example.
            layers["of_h"].append(conv(few, 1, name=f"of_h_{index}", **options))
            layers["of_x"].append(
                conv(few, 1, use_bias=False, name=f"of_x_{index}", **options)
            )
            layers["mix"].append(
                conv(
                    few,
                    kernel_size(size),
                    padding="same",
                    name=f"mix_{index}",
                    **options,
                )
            )
            start = keras.initializers.VarianceScaling(0.1)
            layers["head"].append(
                conv(
                    2 * channels,
                    1,
                    name=f"head_{index}",
                    kernel_initializer=start,
                    dtype=self.dtype_policy,
                )
            )
            ins = {"of_h": wide, "of_x": wide, "mix": few, "head": few}
            for kind, made in layers.items():
                made[index].build((None, *size, ins[kind]))
        self._of_h, self._of_x = layers["of_h"], layers["of_x"]
        self._mix, self._head = layers["mix"], layers["head"]

    def attach(self, model: Any) -> None:
        """Remembers the decoder, whose maps its levels depend on."""
        decoder, prior = model.decoder, model.prior
        # By their attributes, not by their class: posteriors don't import priors.
        if getattr(decoder, "maps", None) != self.maps or not (
            hasattr(decoder, "descend") and hasattr(type(prior), "trunk")
        ):
            raise ValueError(
                f"TopDownMaps with levels={self.levels} needs the prior "
                "priors.HierarchicalMaps and the decoder networks.TopDownTrunk of the "
                f"same levels, channels, and width; received {prior!r} and {decoder!r}. "
                "kvae.presets.deep_vae makes all parts."
            )
        if decoder.condition_dim != self.condition_dim:
            raise ValueError(
                f"TopDownMaps with condition_dim={self.condition_dim} needs a decoder "
                f"whose condition has as many numbers; received {decoder!r}, which takes "
                f"{decoder.condition_dim}. kvae.presets.deep_vae makes all parts."
            )
        # A weak reference is not tracked, because the model itself saves the decoder.
        self._decoder = weakref.ref(decoder)

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Checks that features are the maps of all sizes, and the condition."""
        wanted = self.maps.features_dim + self.condition_dim
        if len(features_shape) != 2 or features_shape[-1] != wanted:
            raise ValueError(
                f"TopDownMaps reads the maps of all sizes, flat, {wanted} "
                f"features; the encoder gives {tuple(features_shape)}. Build it with "
                "networks.bottom_up_encoder of the same levels and width."
            )
        self.built = True

    def call(self, features: Tensor) -> Params:
        """Returns the encoder's maps, flat, as `evidence` (B, F), and the `condition`."""
        flat, size = keras.ops.cast(features, self.maths_dtype), self.maps.features_dim
        if not self.condition_dim:
            return {"evidence": flat}
        return {"evidence": flat[:, :size], "condition": flat[:, size:]}

    def walk(self, params: Params, noise: Tensor) -> Walk:
        """Draws z and computes all that depends on it in one pass through the trunk.

        Args:
            params: from `call`.
            noise: (K, B, D), independent N(0, 1).

        Returns:
            walk: with both densities, the decoder's features, and the KL of each level.
        """
        terms, features = self._walk(params, noise, draws=True)
        return terms.walk(features)

    def sample(self, params: Params, noise: Tensor) -> Tensor:
        """Draws from the top down: (K, B, D)."""
        return self.walk(params, noise).z

    def sample_and_log_prob(
        self, params: Params, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draws z and its log-density together: (K, B, D) and (K, B) nats."""
        walk = self.walk(params, noise)
        return walk.z, walk.log_posterior

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log q(z|x) in nats: z of (..., B, D) gives (..., B)."""
        rows, lead = self._rows(params, z)
        terms, features = self._walk(params, rows, draws=False)
        return tf.reshape(terms.walk(features).log_posterior, lead)

    def mean(self, params: Params) -> Tensor:
        """The latents without noise, (B, D): each level's loc given those above."""
        evidence = params["evidence"]
        noise = tf.zeros((1, tf.shape(evidence)[0], self.latent_dim), evidence.dtype)
        return self.walk(params, tf.ensure_shape(noise, (1, None, self.latent_dim))).z[
            0
        ]

    def known_levels(self, params: Params, count: int) -> Tensor:
        """Latents of which the top levels know x and the others don't, (B, D).

        The first `count` levels are those of `mean`; below, each is the loc of its prior
        given the levels above.

        Args:
            params: from `call`.
            count: levels that know x, from 0 to all of them.
        """
        silence = self._silence(params)
        terms, features = self._walk(params, silence, draws=True, known=count)
        return terms.walk(features).z[0]

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.TransformedDistribution` with batch (B,) and event (D,)."""
        zeros = self._silence(params)[0]
        base = tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), 1)
        return flow_distribution(
            base,
            lambda u: self._flow(params, u, draws=True),
            lambda z: self._flow(params, z, draws=False),
            rows_of(self.distribution, params),
        )

    def level_rates(self, draw: Draw) -> Tensor:
        """Computes KL(q || p) of each level given the latents above, (K, B, L) nats."""
        return self._walk_of(draw).rates

    def active_means(self, draw: Draw) -> Tensor:
        """Means of q in scales of p from the means of p, averaged over K, (B, D)."""
        return self._walk_of(draw).active_means

    def report(self, draw: Draw) -> dict[str, Tensor]:
        """Computes the rate of each size of maps, (B,) nats; together they are the rate."""
        rates = tf.reduce_mean(self.level_rates(draw), axis=0)
        found: dict[str, Tensor] = {}
        for index, name in enumerate(self.maps.names):
            key = f"rate_{name}"
            found[key] = found.get(key, 0.0) + rates[:, index]
        return found

    def _silence(self, params: Params) -> Tensor:
        """Noise of zeros, (1, B, D)."""
        zeros = tf.zeros_like(params["evidence"][:, :1])
        return tf.tile(zeros, (1, self.latent_dim))[None]

    def _walk_of(self, draw: Draw) -> Walk:
        if draw.walk is not None and draw.walk.rates is not None:
            return draw.walk
        terms, features = self._walk(draw.posterior, draw.z, draws=False)
        return terms.walk(features)

    def _rows(self, params: Params, z: Tensor) -> tuple[Tensor, Tensor]:
        """Gives z (..., B, D) a row for each of x: (K, B, D), and its shape (..., B)."""
        z = tf.cast(z, self.maths_dtype) + tf.zeros_like(params["evidence"][:, :1])
        lead = tf.shape(z)[:-1]
        rows = tf.reshape(z, tf.stack([-1, lead[-1], self.latent_dim]))
        return rows, lead

    def _flow(
        self, params: Params, value: Tensor, draws: bool
    ) -> tuple[Tensor, Tensor]:
        rows, lead = self._rows(params, value)
        terms, features = self._walk(params, rows, draws)
        out = terms.walk(features).z if draws else terms.noise
        log_det = terms.log_det if draws else -terms.log_det
        shape = tf.concat([lead, [self.latent_dim]], axis=0)
        return tf.reshape(out, shape), tf.reshape(log_det, lead)

    def _walk(
        self, params: Params, value: Tensor, draws: bool, known: int | None = None
    ) -> tuple[LevelTerms, Tensor]:
        """Walks through the trunk.

        Args:
            params: from `call`.
            value: (K, B, D), noise if `draws`, else latents.
            draws: whether to draw latents or to take those that are given.
            known: levels that follow q; those below follow p. All if None.

        Returns:
            terms: of all levels.
            features: of the decoder.
        """
        maps, terms = self.maps, LevelTerms()
        alone = value.shape[0] == 1  # one latent for each x
        condition = params.get("condition")
        if condition is not None:
            condition = condition_rows(condition, value)
        pieces = tf.split(value, maps.dims, axis=-1)
        evidence = self._evidence(params["evidence"])

        def shared(index: int) -> bool:
            """Whether a level has no rows of its own for each of K latents."""
            # At the top, only the condition differs between rows.
            return alone or (not index and condition is None)

        def each(rows: Tensor, index: int) -> Tensor:
            """(R, d) to what broadcasts against (K, B, d)."""
            if shared(index):
                return rows[None]
            return tf.reshape(rows, tf.shape(pieces[index]))

        def choose(index: int, h: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
            prior = posterior = (each(loc, index), each(scale, index))
            if known is None or index < known:
                rows = None if shared(index) else tf.shape(value)[:2]
                shift, raw = self._heads(index, h, evidence, rows)
                factor = self.min_scale + softplus(each(raw, index) + _UNIT)
                posterior = (each(shift, index), factor)
                if self.residual:
                    posterior = (prior[0] + posterior[0], prior[1] * factor)
            if draws:
                noise = pieces[index]
                z = posterior[0] + posterior[1] * noise
            else:
                z = pieces[index]
                noise = (z - posterior[0]) / posterior[1]
            terms.add(z, noise, posterior, prior)
            return tf.reshape(z, (-1, maps.dims[index]))

        return terms, self._trunk.descend(choose, condition)

    def _evidence(self, flat: Tensor) -> list[Tensor]:
        """Splits flat features (B, F) into the map of each size."""
        maps = self.maps
        shapes = [(*maps.sizes[first], maps.widths[first]) for first in maps.groups]
        sizes = [shape[0] * shape[1] * shape[2] for shape in shapes]
        pieces = tf.split(tf.cast(flat, self.compute_dtype), sizes, axis=-1)
        return [
            tf.reshape(piece, (-1, *shape))
            for piece, shape in zip(pieces, shapes, strict=True)
        ]

    def _heads(
        self, index: int, h: Tensor, evidence: list[Tensor], rows: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Computes the two parameters of a level, each (R, d).

        Args:
            index: of the level.
            h: (R, height, width, C) of the trunk.
            evidence: the encoder's maps.
            rows: K and B if h has K rows for each of the B examples, else None.
        """
        inner = self._of_h[index](self._act(h))
        of_x = self._of_x[index](evidence[self.maps.group_of(index)])
        if rows is None:
            inner = inner + of_x
        else:
            shape = tuple(inner.shape[1:])
            many = tf.reshape(inner, tf.concat([rows, shape], axis=0)) + of_x
            inner = tf.reshape(many, (-1, *shape))
        out = self._head[index](self._act(self._mix[index](self._act(inner))))
        loc, raw = tf.split(out, 2, axis=-1)
        dim = self.maps.dims[index]
        return tuple(
            tf.cast(tf.reshape(value, (-1, dim)), self.maths_dtype)
            for value in (loc, raw)
        )

    @property
    def _trunk(self) -> Any:
        trunk = self._decoder and self._decoder()
        if trunk is None:
            raise ValueError(
                "TopDownMaps works through the decoder of a model; pass it to "
                "kvae.VAE(posterior=...) first, and keep that model."
            )
        return trunk

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        config = super().get_config()
        del config["latent_dim"]
        return {
            **config,
            "levels": self.levels,
            "latent_channels": self.latent_channels,
            "width": self.width,
            "residual": self.residual,
            "squeeze": self.squeeze,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "min_scale": self.min_scale,
            "condition_dim": self.condition_dim,
        }
