"""The contract of a likelihood p(x|z)."""

from __future__ import annotations

import abc
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.maths import maths_dtype
from kvae.networks import Projection
from kvae.types import Params, Tensor


class Likelihood(keras.layers.Layer, abc.ABC):
    """p(x|z): decoder features in, parameters out, a distribution on demand.

    Subclassing guide: make the heads in `__init__` with `self.head`, map features to
    parameters in `call`, and give `distribution`, `mean`, `supports` and `support`.
    `entry_log_prob` may be overridden where a stabler or faster form than TFP's is known,
    or where entries are not independent. `mode` may be overridden where it is defined.

    Args:
        data_shape: shape of one example x, for example (28, 28, 1).
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `data_shape` is empty or has an axis that is not positive.
    """

    support: str
    """What values x may take, in words, for messages."""
    advice: str = ""
    """What to do when they lie outside, for messages."""
    filler: float = 0.0
    """A value inside the support, computed with where an entry does not count."""

    def __init__(self, data_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        shape = tuple(data_shape) if isinstance(data_shape, (tuple, list)) else ()
        if not shape or not all(
            isinstance(n, (int, np.integer)) and n > 0 for n in shape
        ):
            raise ValueError(
                f"{type(self).__name__} expects data_shape to be a tuple of positive "
                f"integers, such as x_train.shape[1:]; received {data_shape!r}."
            )
        self.data_shape = shape

    @property
    def maths_dtype(self) -> str:
        """The dtype of parameters and densities, never less than float32."""
        return maths_dtype(self.compute_dtype)

    def attach(self, model: Any) -> None:
        """Hears of the model that holds this part; override to use its other parts.

        Args:
            model: the `kvae.VAE`. Keep no tracked reference to it.
        """

    def head(
        self,
        name: str,
        per_entry: tuple[int, ...] = (),
        bias_initializer: Any = "zeros",
    ) -> Projection:
        """Makes the linear map to one parameter of shape (B, *data_shape, *per_entry)."""
        return Projection(
            self.data_shape,
            per_entry,
            bias_initializer=bias_initializer,
            name=name,
            dtype=self.dtype_policy,
        )

    def build(self, features_shape: tuple[int | None, ...]) -> None:
        """Builds every head for features of this shape."""
        for layer in self._flatten_layers(include_self=False, recursive=False):
            if isinstance(layer, Projection) and not layer.built:
                layer.build(features_shape)
        self.built = True

    @abc.abstractmethod
    def call(self, features: Tensor) -> Params:
        """Maps decoder features (B, ...) to parameters, each (B, *data_shape, ...)."""

    @abc.abstractmethod
    def distribution(self, params: Params) -> Any:
        """Makes the `tfd.Distribution` with batch (B,) and event `data_shape`."""

    @abc.abstractmethod
    def mean(self, params: Params) -> Tensor:
        """The mean of p(x|z), (B, *data_shape): what a picture shows."""

    @abc.abstractmethod
    def supports(self, x: Tensor) -> Tensor:
        """Says for each entry of x whether it lies in the support; NaN does."""

    def mode(self, params: Params) -> Tensor:
        """The most probable x, (B, *data_shape)."""
        return self.distribution(params).mode()

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-density of each entry of x alone, nats, in the shape of x.

        The default takes the distribution that `Independent` wraps.
        """
        return self.distribution(params).distribution.log_prob(x)

    def log_prob(self, params: Params, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Computes log p(x|z) in nats, summed over (observed) entries.

        An entry outside the support has density zero, so the result is -inf there:
        visible, and never a number that looks right.

        Args:
            params: from `call`, each (..., *data_shape).
            x: (..., *data_shape), broadcast against the parameters.
            mask: 1 where x is observed, 0 where it is missing, in the shape of x; the
                missing entries of x may hold anything.

        Returns:
            log_prob: (...) nats.
        """
        x = tf.cast(x, self.maths_dtype)
        counts = tf.ones_like(x, tf.bool) if mask is None else tf.cast(mask, tf.bool)
        inside = self.supports(x)
        # Both the missing and the impossible get a harmless value first: a NaN that is
        # masked only after the density would still come back through the gradient.
        filler = tf.constant(self.filler, x.dtype)
        entries = self.entry_log_prob(params, tf.where(counts & inside, x, filler))
        if mask is not None:
            entries = tf.where(counts, entries, tf.zeros_like(entries))
        axes = list(range(-len(self.data_shape), 0))
        total = tf.reduce_sum(entries, axis=axes)
        possible = tf.reduce_all(inside | ~counts, axis=axes)
        return tf.where(possible, total, tf.constant(-np.inf, total.dtype))

    def check_support(self, x: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Raises unless every observed entry of an array lies in the support.

        Args:
            x: (N, *data_shape).
            mask: 1 where x is observed, in the shape of x.

        Raises:
            ValueError: naming the range that came and what to do.
        """
        for start in range(0, len(x), 4096):
            block = x[start : start + 4096].astype("float64")
            counts = True if mask is None else mask[start : start + 4096].astype(bool)
            if np.any(~np.asarray(self.supports(tf.constant(block))) & counts):
                raise ValueError(
                    f"{type(self).__name__} expects {self.support}; received "
                    f"min={np.nanmin(x):.3g}, max={np.nanmax(x):.3g}, dtype={x.dtype}. "
                    f"{self.advice}"
                )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "data_shape": self.data_shape}
