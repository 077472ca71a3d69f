"""The decoder of a deep model: a walk through maps of latents, from the top down."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from kvae.core.checks import check_data_shape, check_size, is_number
from kvae.core.types import Tensor
from kvae.maths import maths_dtype, softplus
from kvae.networks.bottleneck import Bottleneck
from kvae.networks.condition import check_condition_given, check_condition_shape
from kvae.networks.grow import Grow
from kvae.networks.map_levels import MapLevels, kernel_size
from kvae.networks.one_hot import OneHot

Choose: TypeAlias = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Chooses the latents of a level: its index, the hidden map h (R, height, width, C), and
loc and scale of p(z[l] | z above), each (R, d), give z (rows, d). R is 1 at the top, where
nothing is above, unless there is a condition; otherwise it is `rows`."""

_UNIT = math.log(math.e - 1.0)  # softplus of it is 1


@keras.saving.register_keras_serializable(package="kvae")
class TopDownTrunk(keras.layers.Layer):
    """A decoder whose latents enter level by level, and the prior of each level.

        h[1] = start, learned
        p(z[l] | z[<l]) = Normal(loc_l(h[l]), scale_l(h[l]))
        h' = h[l] + update_l(h[l]) + project_l(z[l]),   h[l+1] = h' + block_l(h')

    Maps grow where the next level is larger. The last h grows to the size of the data and
    is what the likelihood reads. z holds the maps of all levels, flat, one after the
    other, **from the top (smallest map) down**; each is (height, width, channels) in C
    order.

    With a condition c, a linear map of it joins the channels of h at every size of maps,
    from the top on: each level's prior is p(z[l] | z[<l], c). Labels are one-hot vectors,
    and other conditions are read flat.

    It is the `decoder` of a model with `priors.HierarchicalMaps` and
    `posteriors.TopDownMaps`, which run it together, once per step.

    Args:
        data_shape: (H, W) or (H, W, C) of one picture.
        levels: (height, width, count) of each size, from the smallest map up, such as
            ((1, 1, 2), (4, 4, 3), (7, 7, 4)).
        latent_channels: latents at each position of a level, one number for all or one
            for each size.
        width: channels of the hidden maps, one number for all or one for each size.
        features: channels at full size, which the likelihood reads.
        squeeze: factor between the width and the channels inside a block.
        activation: any Keras activation.
        min_scale: the smallest scale of the prior's normals.
        condition_shape: of one condition that is a vector or an image, or None.
        classes: of a condition that is an integer label, as for `OneHot`, or None.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if the data are not pictures, or an argument does not fit them.

    Source: Kingma et al. 2016, arXiv:1606.04934 (ResNet VAE), and Child 2020,
        arXiv:2011.10650, for the block of a level and its start.
    """

    def __init__(
        self,
        data_shape: tuple[int, ...],
        levels: tuple[tuple[int, int, int], ...],
        latent_channels: int | tuple[int, ...] = 8,
        width: int | tuple[int, ...] = 64,
        *,
        features: int = 16,
        squeeze: int = 2,
        activation: Any = "silu",
        min_scale: float = 1e-4,
        condition_shape: tuple[int, ...] | None = None,
        classes: int | tuple[int, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.data_shape = check_data_shape(name, data_shape)
        self.maps = MapLevels.of(name, levels, latent_channels, width)
        picture = (self.data_shape[0], (*self.data_shape, 1)[1])
        if len(self.data_shape) not in (2, 3) or any(
            side > most for side, most in zip(self.maps.sizes[-1], picture, strict=True)
        ):
            raise ValueError(
                f"{name} expects data_shape (H, W) or (H, W, C), with maps of at most "
                f"that size; received data_shape={self.data_shape} and "
                f"levels={levels!r}."
            )
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"{name} expects min_scale > 0; received {min_scale!r}. Leave it at 1e-4 "
                "unless learned scales reach it."
            )
        self.levels = tuple(tuple(int(n) for n in level) for level in levels)
        self.latent_channels, self.width = latent_channels, width
        self.features = check_size("features", features)
        self.squeeze = check_size("squeeze", squeeze)
        self.activation = activation
        self.min_scale = min_scale
        if isinstance(condition_shape, list):  # of a saved model
            condition_shape = tuple(condition_shape)
        self.condition_shape = check_condition_shape(name, condition_shape, classes)
        self._one_hot = None if classes is None else OneHot(classes)
        self._act = keras.activations.get(activation)
        self._make_layers(picture)
        self.built = True

    def _make_layers(self, picture: tuple[int, int]) -> None:
        """Makes and builds every layer, because all shapes are known."""
        maps, options = self.maps, {"dtype": self.dtype_policy}
        share = 1.0 / len(maps.sizes)
        self._start = self.add_weight(
            name="start",
            shape=(1, *maps.sizes[0], maps.widths[0]),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        self._priors, self._projections, self._blocks = [], [], []
        for index, (size, channels, width) in enumerate(
            zip(maps.sizes, maps.channels, maps.widths, strict=True)
        ):
            middle = (max(1, width // self.squeeze), kernel_size(size), self.activation)
            prior = Bottleneck(
                2 * channels + width,
                *middle,
                last_scale=0.0,
                name=f"prior_{index}",
                **options,
            )
            project = keras.layers.Conv2D(
                width,
                1,
                kernel_initializer=keras.initializers.VarianceScaling(share),
                name=f"project_{index}",
                **options,
            )
            block = Bottleneck(
                width, *middle, last_scale=share, name=f"block_{index}", **options
            )
            prior.build((None, *size, width))
            project.build((None, *size, channels))
            block.build((None, *size, width))
            self._priors.append(prior)
            self._projections.append(project)
            self._blocks.append(block)
        self._grows = []
        for first in maps.groups[1:]:
            grow = Grow(
                maps.widths[first], maps.sizes[first], name=f"grow_{first}", **options
            )
            grow.build((None, *maps.sizes[first - 1], maps.widths[first - 1]))
            self._grows.append(grow)
        self._condition_maps = []
        for first in maps.groups if self.condition_dim else ():
            join = keras.layers.Dense(
                maps.widths[first],
                use_bias=False,
                kernel_initializer=keras.initializers.VarianceScaling(0.1),
                name=f"condition_{first}",
                **options,
            )
            join.build((None, self.condition_dim))
            self._condition_maps.append(join)
        self._last = Grow(self.features, picture, name="last_grow", **options)
        self._last.build((None, *maps.sizes[-1], maps.widths[-1]))
        self._smooth = keras.layers.Conv2D(
            self.features,
            3,
            padding="same",
            kernel_initializer="he_normal",
            name="smooth",
            **options,
        )
        self._smooth.build((None, *picture, self.features))

    @property
    def latent_dim(self) -> int:
        """D, the latent dimensions of all levels."""
        return self.maps.latent_dim

    @property
    def condition_dim(self) -> int:
        """The numbers in a flat condition, 0 if the trunk takes none."""
        if self._one_hot is not None:
            return len(self._one_hot.labels)
        shape = self.condition_shape
        return 0 if shape is None else math.prod(shape)

    @property
    def maths_dtype(self) -> str:
        """The dtype of the prior's parameters, never less than float32."""
        return maths_dtype(self.compute_dtype)

    def flat_condition(self, condition: Tensor | None) -> Tensor:
        """Gives conditions (B, ...) as flat numbers, (B, condition_dim).

        Raises:
            ValueError: if there is no condition.
        """
        check_condition_given(type(self).__name__, condition)
        if self._one_hot is not None:
            return self._one_hot(condition)
        flat = tf.reshape(condition, (-1, self.condition_dim))
        return tf.cast(flat, self.compute_dtype)

    def descend(self, choose: Choose, condition: Tensor | None = None) -> Tensor:
        """Walks through all levels once.

        Args:
            choose: see `Choose`; it is called once per level, from the top down.
            condition: (rows, condition_dim), flat, or None if the trunk takes none.

        Returns:
            features: (rows, H, W, features).
        """
        maps, dtype = self.maps, self.compute_dtype
        h = tf.cast(tf.convert_to_tensor(self._start), dtype)
        for index, (size, channels) in enumerate(
            zip(maps.sizes, maps.channels, strict=True)
        ):
            if index in maps.groups:
                group = maps.group_of(index)
                if group:
                    h = self._grows[group - 1](h)
                if condition is not None:
                    joined = self._condition_maps[group](tf.cast(condition, dtype))
                    h = h + joined[:, None, None, :]
            out = self._priors[index](h)
            loc, raw, update = tf.split(
                out, [channels, channels, maps.widths[index]], -1
            )
            raw = self._flat(raw, index)
            scale = self.min_scale + softplus(raw + _UNIT)
            z = choose(index, h, self._flat(loc, index), scale)
            z = tf.cast(tf.reshape(z, (-1, *size, channels)), dtype)
            h = h + update + self._projections[index](z)
            h = h + self._blocks[index](h)
        full = self._act(self._last(self._act(h)))
        return self._act(full + self._smooth(full))

    def _flat(self, value: Tensor, index: int) -> Tensor:
        dim = self.maps.dims[index]
        return tf.cast(tf.reshape(value, (-1, dim)), self.maths_dtype)

    def call(self, inputs: Any) -> Tensor:
        """Maps z (B, D) to features (B, H, W, features).

        Args:
            inputs: z; with a condition, a dict of "z" and "condition" (B, ...).
        """
        given = inputs if isinstance(inputs, dict) else {"z": inputs}
        flat = None
        if self.condition_dim:
            flat = self.flat_condition(given.get("condition"))
        parts = tf.split(given["z"], self.maps.dims, axis=-1)
        return self.descend(lambda index, h, loc, scale: parts[index], flat)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns (B, H, W, features)."""
        given = input_shape["z"] if isinstance(input_shape, dict) else input_shape
        return (given[0], *self.data_shape[:2], self.features)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "data_shape": self.data_shape,
            "levels": self.levels,
            "latent_channels": self.latent_channels,
            "width": self.width,
            "features": self.features,
            "squeeze": self.squeeze,
            "activation": keras.activations.serialize(
                keras.activations.get(self.activation)
            ),
            "min_scale": self.min_scale,
            "condition_shape": self.condition_shape,
            "classes": self._one_hot and self._one_hot.get_config()["classes"],
        }
