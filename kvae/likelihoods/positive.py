"""A positive parameter of a likelihood: fixed, learned, or a function of z."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.maths import soft_lower_bound
from kvae.types import Tensor

KINDS = ("learned", "per_dimension", "decoder")
"""Ways to choose a parameter, besides a positive number."""


class Positive:
    """Holds what one positive parameter is computed from, on behalf of a likelihood.

        parameter = exp(raw), bent to stay between two bounds

    Args:
        owner: the likelihood, which keeps the weight or the head.
        name: of the parameter and of the constructor's argument.
        value: a positive number, or one of `KINDS`.
        lower: learned values stay above it.
        upper: learned values stay below it; far away, against overflow.
        initial: where learned values start.
        further: kinds that the owner treats itself and this object takes no part in.

    Raises:
        ValueError: if `value` or `lower` is none of these.
    """

    def __init__(
        self,
        owner: Any,
        name: str,
        value: Any,
        lower: float,
        upper: float = 1e15,
        initial: float = 1.0,
        further: tuple[str, ...] = (),
    ) -> None:
        kinds, title = (*KINDS, *further), type(owner).__name__
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (value in kinds or (number and 0 < value < math.inf)):
            raise ValueError(
                f"{title} expects {name} to be a positive number or one of {kinds}; "
                f"received {value!r}."
            )
        if not 0 < lower < upper:
            raise ValueError(
                f"{title} expects min_{name} > 0, and below {upper:g}; received {lower!r}."
            )
        self._value, self._dtype = value, owner.maths_dtype
        self._bounds = math.log(lower), math.log(upper)
        start = keras.initializers.Constant(math.log(initial))
        self._raw: Any = None
        if value == "decoder":
            self._raw = owner.head(f"log_{name}", bias_initializer=start)
        elif value in KINDS:
            self._raw = owner.add_weight(
                name=f"log_{name}",
                shape=() if value == "learned" else owner.data_shape,
                initializer=start,
                dtype=self._dtype,
                autocast=False,
            )
        if self._raw is not None:
            # An attribute of the layer is what Keras and a SavedModel find.
            setattr(owner, f"_log_{name}", self._raw)

    def __call__(self, features: Tensor) -> Tensor:
        """Computes the parameter: scalar, (*data_shape) or (B, *data_shape)."""
        if self._raw is None:
            return tf.constant(self._value, self._dtype)
        raw = self._raw(features) if self._value == "decoder" else self._raw.value
        lower, upper = self._bounds
        raw = soft_lower_bound(keras.ops.cast(raw, self._dtype), lower)
        return tf.exp(-soft_lower_bound(-raw, -upper))
