"""The Student-t likelihood."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import is_number
from kvae.core.types import Params, Tensor
from kvae.likelihoods.base import Likelihood
from kvae.likelihoods.positive import Positive
from kvae.likelihoods.units import RealUnits
from kvae.maths import softplus
from kvae.maths.counts import log_gamma_half_step
from kvae.maths.stable import accelerated_zeros

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class StudentT(Likelihood):
    """Independent real entries with heavy tails: an outlier costs its logarithm.

        log p(x|z) = sum_i -(df + 1)/2 log(1 + u[i]^2 / df) - log scale - log Z(df),
        u = (x - loc(z)) / scale,  Z(df) = sqrt(df) Beta(1/2, df/2)

    Args:
        data_shape: shape of one example.
        df: degrees of freedom, above 1 so that the mean exists. A number keeps them
            fixed; "learned" learns one for all entries, "per_dimension" one per entry;
            both start at 5.
        scale: a positive number keeps it fixed; "learned" learns one for all entries;
            "per_dimension" one per entry; "decoder" makes it a function of z.
        min_scale: learned scales stay above it. It is a multiple of the spread of the
            data that `adapt` measures, or in the units of x without `adapt`.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is not one of these.
    """

    support = "real numbers"
    continuous = True
    advice = "Remove infinite entries."

    def __init__(
        self,
        data_shape: tuple[int, ...],
        df: float | str = "learned",
        scale: float | str = "learned",
        *,
        min_scale: float = 1e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_shape, **kwargs)
        learned = df in ("learned", "per_dimension")
        given: Any = df
        if not learned and not (is_number(given) and given > 1):
            raise ValueError(
                "StudentT expects df to be a number above 1, or 'learned' or "
                f"'per_dimension'; received {df!r}. With df <= 1 there is no mean; for "
                "df = inf use Normal."
            )
        self.df = df
        self.scale = scale
        self.min_scale = min_scale
        self._loc = self.head("loc")
        self._scale = Positive(self, "scale", scale, min_scale)
        self._units: RealUnits = RealUnits(self)
        if learned:
            self._raw_df = self.add_weight(
                name="df",
                shape=() if df == "learned" else self.data_shape,
                initializer=keras.initializers.Constant(math.log(math.expm1(4.0))),
                dtype=self.maths_dtype,
                autocast=False,
            )

    def call(self, features: Tensor) -> Params:
        """Maps features to loc, scale and df, each (B, *data_shape)."""
        raw = self._loc(features)
        loc = self._units.loc(raw)
        if self.df in ("learned", "per_dimension"):
            df = 1.0 + softplus(self._raw_df.value)
        else:
            df = tf.constant(self.df, loc.dtype)
        zeros = accelerated_zeros(keras.ops.cast(raw, self.maths_dtype))
        scale = self._scale(features, self._units) + zeros
        return {"loc": loc, "scale": scale, "df": df + zeros}

    def distribution(self, params: Params) -> Any:
        """Makes `Independent(StudentT)` with batch (B,) and event `data_shape`."""
        student = tfd.StudentT(params["df"], params["loc"], params["scale"])
        return tfd.Independent(student, len(self.data_shape))

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-density of each entry, even where u^2 overflows."""
        df, scale = params["df"], params["scale"]
        u = tf.abs(x - params["loc"]) / (scale * tf.sqrt(df))
        far = u > 1.0
        near_u = tf.where(far, tf.zeros_like(u), u)
        far_u = tf.where(far, u, tf.ones_like(u))
        log1p_square = tf.where(
            far,
            2.0 * tf.math.log(far_u) + tf.math.log1p(tf.square(1.0 / far_u)),
            tf.math.log1p(tf.square(near_u)),
        )
        # Beta(1/2, df/2) = sqrt(pi) Gamma(df/2) / Gamma(df/2 + 1/2)
        log_z = 0.5 * (tf.math.log(df) + math.log(math.pi)) - log_gamma_half_step(
            0.5 * df
        )
        return -0.5 * (df + 1.0) * log1p_square - tf.math.log(scale) - log_z

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
            "df": self.df,
            "scale": self.scale,
            "min_scale": self.min_scale,
        }
