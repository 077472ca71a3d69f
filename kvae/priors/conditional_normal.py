"""The normal prior that depends on a condition."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow_probability as tfp

from kvae.maths import softplus
from kvae.priors.base import Prior
from kvae.types import Params, Tensor

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class ConditionalNormal(Prior):
    """A diagonal normal whose loc and scale are learned functions of the condition.

        p(z|c) = prod_d Normal(z[d]; loc[d](c), scale[d](c))
        scale  = min_scale + softplus(raw)

    It starts close to a standard normal, whatever the condition is. The KL divergence to
    it has a closed form for `DiagonalNormal` and `FullNormal`.

    Args:
        latent_dim: D, the number of latent dimensions.
        network: Keras network from the condition, (B, ...), to features; None maps the
            flattened condition linearly. Integer labels need `networks.OneHot(classes)`.
        min_scale: the smallest scale; keeps the density finite.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` or `min_scale` is not positive.

    Source: Sohn, Lee, Yan 2015, "Learning structured output representation using deep
        conditional generative models".
    """

    conditional = True

    def __init__(
        self,
        latent_dim: int,
        network: Any = None,
        min_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        if not min_scale > 0:
            raise ValueError(
                f"ConditionalNormal expects min_scale > 0; received {min_scale!r}."
            )
        self.network = network
        self.min_scale = min_scale
        options = {"kernel_initializer": _small(), "dtype": self.dtype_policy}
        self._flatten = keras.layers.Flatten(dtype=self.dtype_policy)
        self._loc = keras.layers.Dense(latent_dim, name="loc", **options)
        self._raw_scale = keras.layers.Dense(
            latent_dim,
            name="raw_scale",
            bias_initializer=keras.initializers.Constant(math.log(math.e - 1.0)),
            **options,
        )

    def build(self, condition_shape: tuple[int | None, ...] | None = None) -> None:
        """Builds the network and both heads for conditions of this shape."""
        if condition_shape is None:  # refused in `call`, in plain words
            return
        shape = tuple(condition_shape)
        if self.network is not None:
            if not self.network.built:
                self.network.build(shape)
            shape = self.network.compute_output_shape(shape)
        flat = self._flatten.compute_output_shape(shape)
        for head in (self._loc, self._raw_scale):
            if not head.built:
                head.build(flat)
        self.built = True

    def call(self, condition: Tensor | None = None) -> Params:
        """Maps the condition (B, ...) to loc and scale, each (B, D)."""
        if condition is None:
            raise ValueError(
                "ConditionalNormal needs a condition; received None. Pass it with the "
                'data, fit({"x": x, "condition": c}), and sample(num, condition=c).'
            )
        if keras.backend.is_int_dtype(condition.dtype):
            if self.network is None and len(condition.shape) == 1:
                raise ValueError(
                    "ConditionalNormal received labels, which are names and no numbers. "
                    "Give it network=networks.OneHot(classes)."
                )
            features = condition
        else:
            features = keras.ops.cast(condition, self.compute_dtype)
        if self.network is not None:
            features = self.network(features)
        features = keras.ops.cast(features, self.compute_dtype)
        flat = self._flatten(features)
        loc, raw_scale = (
            keras.ops.cast(head(flat), self.maths_dtype)
            for head in (self._loc, self._raw_scale)
        )
        return {"loc": loc, "scale": self.min_scale + softplus(raw_scale)}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch (B,) and event (D,)."""
        return tfd.Independent(tfd.Normal(params["loc"], params["scale"]), 1)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Computes loc + scale * temperature * noise: (..., B, D)."""
        return params["loc"] + params["scale"] * (temperature * noise)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        network = self.network
        return {
            **super().get_config(),
            "network": network and keras.saving.serialize_keras_object(network),
            "min_scale": self.min_scale,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes a prior from `get_config`."""
        config = dict(config)
        if isinstance(config["network"], dict):
            config["network"] = keras.saving.deserialize_keras_object(
                config["network"], custom_objects
            )
        return cls(**config)


def _small() -> Any:
    return keras.initializers.VarianceScaling(0.01, "fan_avg", "uniform")
