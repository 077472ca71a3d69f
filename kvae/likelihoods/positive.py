"""A positive parameter of a likelihood: fixed, learned, or a function of z."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.likelihoods.units import RealUnits
from kvae.maths import soft_lower_bound

KINDS = ("learned", "per_dimension", "decoder")
"""Ways to choose a parameter, besides a positive number."""

_GAIN = 10.0  # for a single weight; a head has many that move together


class Positive:
    """Holds what one positive parameter is computed from, on behalf of a likelihood.

        parameter = exp(raw), bent to stay between two bounds

    The weight of a learned value is raw / 10. Adam moves any weight by about its
    learning rate per step, and a scale may have far to go from 1: at a rate of 1e-3, it
    would take 2300 steps to reach 0.1, but takes 230 this way. The gradient is divided
    by 10, so that plain gradient descent moves raw as it would without the factor.

    Args:
        owner: the likelihood, which keeps the weight or the head.
        name: of the parameter and of the constructor's argument.
        value: a positive number, or one of `KINDS`.
        lower: learned values stay above it.
        upper: learned values stay below it; far away, against overflow.
        initial: where learned values start.
        further: kinds that the owner handles without this object.

    Raises:
        ValueError: if `value` or `lower` is not one of these.
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
        named = isinstance(value, str) and value in kinds
        if not (named or (is_number(value) and value > 0)):
            raise ValueError(
                f"{title} expects {name} to be a positive number or one of {kinds}; "
                f"received {value!r}."
            )
        if not (is_number(lower) and 0 < lower < upper):
            raise ValueError(
                f"{title} expects min_{name} > 0, and below {upper:g}; received {lower!r}."
            )
        self._value, self._dtype = value, owner.maths_dtype
        self._bounds = math.log(lower), math.log(upper)
        start = math.log(initial)
        self._raw: Any = None
        if value == "decoder":
            self._raw = owner.head(
                f"log_{name}", bias_initializer=keras.initializers.Constant(start)
            )
        elif value in KINDS:
            self._raw = owner.add_weight(
                name=f"tenth_log_{name}",
                shape=() if value == "learned" else owner.data_shape,
                initializer=keras.initializers.Constant(start / _GAIN),
                dtype=self._dtype,
                autocast=False,
            )
        if self._raw is not None:
            # An attribute of the layer is what Keras and a SavedModel find.
            setattr(owner, f"_log_{name}", self._raw)

    def __call__(self, features: Tensor, units: RealUnits | None = None) -> Tensor:
        """Computes the parameter: scalar, (*data_shape) or (B, *data_shape).

        Args:
            features: of the decoder.
            units: of the data, for a parameter that has some; a fixed number is in the
                units of x already.
        """
        if self._raw is None:
            return tf.constant(self._value, self._dtype)
        head = self._value == "decoder"
        raw = self._raw(features) if head else _amplified(self._raw.value)
        lower, upper = self._bounds
        raw = soft_lower_bound(keras.ops.cast(raw, self._dtype), lower)
        value = tf.exp(-soft_lower_bound(-raw, -upper))
        return value if units is None else units.scale(value)


def _amplified(weight: Tensor) -> Tensor:
    """10 times the weight, with a tenth of its gradient."""
    fixed = tf.stop_gradient(weight)
    return weight / _GAIN + (_GAIN - 1.0 / _GAIN) * fixed
