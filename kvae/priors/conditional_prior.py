"""The base of the priors whose parameters are learned functions of a condition."""

from __future__ import annotations

import math
from typing import Any

import keras

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.networks.condition import check_condition_given
from kvae.priors.base import Prior


class ConditionalPrior(Prior):
    """p(z|c) from a network of the condition and a dense head per parameter.

    Subclasses make heads by `_head` in `__init__`, and read them by `_outputs` in `call`.

    Args:
        latent_dim: D, the number of latent dimensions.
        network: Keras network from the condition, (B, ...), to features; None maps the
            flattened condition linearly. Integer labels need `networks.OneHot(classes)`.
        min_scale: the smallest scale.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `latent_dim` or `min_scale` is not positive.
    """

    conditional = True

    UNIT_RAW_SCALE = math.log(math.e - 1.0)
    """Its softplus is 1."""

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        network: Any,
        min_scale: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        if not (is_number(min_scale) and min_scale > 0):
            raise ValueError(
                f"{type(self).__name__} expects min_scale > 0; received {min_scale!r}."
            )
        self.network = network
        self.min_scale = min_scale
        self._flatten = keras.layers.Flatten(dtype=self.dtype_policy)
        self._heads: list[Any] = []

    def build(self, condition_shape: tuple[int | None, ...] | None = None) -> None:
        """Builds the network and the heads for conditions of this shape."""
        if condition_shape is None:  # refused in `call`, in plain words
            return
        shape = tuple(condition_shape)
        if self.network is not None:
            if not self.network.built:
                self.network.build(shape)
            shape = self.network.compute_output_shape(shape)
        flat = self._flatten.compute_output_shape(shape)
        for head in self._heads:
            if not head.built:
                head.build(flat)
        self.built = True

    def _head(self, name: str, size: int, start: Any) -> Any:
        """Makes a head whose output starts near `start`, whatever the condition is."""
        if isinstance(start, float):
            start = keras.initializers.Constant(start)
        head = keras.layers.Dense(
            size,
            name=name,
            kernel_initializer=keras.initializers.VarianceScaling(
                0.01, "fan_avg", "uniform"
            ),
            bias_initializer=start,
            dtype=self.dtype_policy,
        )
        self._heads.append(head)
        return head

    def _outputs(self, condition: Tensor | None) -> list[Tensor]:
        """Maps the condition (B, ...) to the output of each head, in order of creation."""
        check_condition_given(type(self).__name__, condition)
        assert condition is not None
        if keras.backend.is_int_dtype(condition.dtype):
            if self.network is None and len(condition.shape) == 1:
                raise ValueError(
                    f"{type(self).__name__} received labels, which are names, not "
                    "quantities. Pass network=networks.OneHot(classes)."
                )
            features = condition
        else:
            features = keras.ops.cast(condition, self.compute_dtype)
        if self.network is not None:
            features = self.network(features)
        flat = self._flatten(keras.ops.cast(features, self.compute_dtype))
        return [keras.ops.cast(head(flat), self.maths_dtype) for head in self._heads]

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
