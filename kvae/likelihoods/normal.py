"""The normal likelihood."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.likelihoods.base import Likelihood
from kvae.maths import soft_lower_bound
from kvae.types import Params, Tensor

tfd = tfp.distributions

_KINDS = ("learned", "per_dimension", "decoder")


@keras.saving.register_keras_serializable(package="kvae")
class Normal(Likelihood):
    """Independent real entries with normal noise.

        log p(x|z) = sum_i -0.5 ((x[i] - loc[i](z)) / scale)^2 - log scale - 0.5 log(2 pi)

    Args:
        data_shape: shape of one example.
        scale: a positive number keeps it fixed; "learned" learns one for all entries;
            "per_dimension" one per entry; "decoder" makes it a function of z.
        min_scale: learned scales stay above it; a perfect fit would otherwise drive the
            density to infinity. In the units of x.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `scale` or `min_scale` is none of these.

    Source: Kingma, Welling 2014, arXiv:1312.6114, appendix C.2, eq. 12; one learned
        scale: Rybkin, Daniilidis, Levine 2021, arXiv:2006.13202, section 3.
    """

    support = "real numbers"
    advice = "Remove infinite entries."

    def __init__(
        self,
        data_shape: tuple[int, ...],
        scale: float | str = "learned",
        min_scale: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        number = isinstance(scale, (int, float)) and not isinstance(scale, bool)
        if not (scale in _KINDS or (number and 0 < scale < math.inf)):
            raise ValueError(
                f"Normal expects scale to be a positive number or one of {_KINDS}; "
                f"received {scale!r}."
            )
        if not min_scale > 0:
            raise ValueError(f"Normal expects min_scale > 0; received {min_scale!r}.")
        self.scale = scale
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._log_scale = self.head("log_scale") if scale == "decoder" else None

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Builds the heads, and the learned scale if it does not depend on z."""
        if self.scale in ("learned", "per_dimension"):
            self._log_scale = self.add_weight(
                name="log_scale",
                shape=() if self.scale == "learned" else self.data_shape,
                initializer="zeros",
                dtype=self.maths_dtype,
            )
        super().build(features_shape)

    def call(self, features: Tensor) -> Params:
        """Maps features to loc and scale, each (B, *data_shape)."""
        loc = keras.ops.cast(self._loc(features), self.maths_dtype)
        if self._log_scale is None:
            scale = tf.constant(self.scale, loc.dtype)
        else:
            raw = (
                self._log_scale(features)
                if self.scale == "decoder"
                else tf.convert_to_tensor(self._log_scale)
            )
            raw = keras.ops.cast(raw, self.maths_dtype)
            scale = tf.exp(soft_lower_bound(raw, math.log(self.min_scale)))
        return {"loc": loc, "scale": scale + tf.zeros_like(loc)}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(Normal)` with batch (B,) and event `data_shape`."""
        normal = tfd.Normal(params["loc"], params["scale"])
        return tfd.Independent(normal, len(self.data_shape))

    def mean(self, params: Params) -> Tensor:
        """The loc, (B, *data_shape), in the units of x."""
        return params["loc"]

    def supports(self, x: Tensor) -> Tensor:
        """True unless x is infinite."""
        return ~tf.math.is_inf(x)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "min_scale": self.min_scale,
        }
