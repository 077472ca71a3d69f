"""The contract of a likelihood p(x|z)."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_data_shape
from kvae.core.part import Part
from kvae.core.types import Params, Tensor
from kvae.likelihoods.units import Units
from kvae.maths import maths_dtype
from kvae.networks import Projection, Standardize

Density = Callable[[Params, Tensor, Tensor | None], Tensor]
"""Of observed entries inside the support, as `observed_log_prob` is."""


class Likelihood(Part):
    """p(x|z): decoder features in, parameters out, a distribution on demand.

    Subclassing guide: make the heads in `__init__` with `self.head`, map features to
    parameters in `call`, and define `distribution`, `mean`, `supports` and `support`.
    Override `entry_log_prob` if a more stable or faster form than TFP's is known,
    `observed_log_prob` if entries are not independent, `observed_log_prob_value` if its
    value alone has a faster form, `calibrate` if training sets a parameter from the batch
    itself, and `mode` if it is defined.

    Args:
        data_shape: shape of one example x, for example (28, 28, 1).
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `data_shape` is empty or has an axis that is not positive.
    """

    support: str
    """What values x may take, in words, for messages."""
    advice: str = ""
    """What to do if they are outside, for messages."""
    filler: float | np.ndarray = 0.0
    """A value inside the support, used for entries that do not count; a number,
    or an array that broadcasts against the data."""

    _units: Units | None = None  # of the data, where parameters have some

    continuous: bool = False
    """Whether p(x|z) is a density, whose nats depend on the unit of x and can't be compared
    with those of a probability."""

    drawn: bool = False
    """Whether `sample` of a model draws x where nobody says, instead of taking the mean,
    which is not an example where entries are levels."""

    def __init__(self, data_shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_shape = check_data_shape(type(self).__name__, data_shape)

    @property
    def maths_dtype(self) -> str:
        """The dtype of parameters and densities, never less than float32."""
        return maths_dtype(self.compute_dtype)

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Sees the training data once, before training: takes over their units, if any.

        Args:
            x: (N, *data_shape) training examples.
            seed: of random draws; here there are none.
        """
        del seed
        if self._units is not None:
            self._units.adapt(np.asarray(x))

    @property
    def neutral(self) -> Any:
        """The value that an encoder sees for a missing entry: 0, or the loc from `adapt`.

        A number, or an array that broadcasts against the data.
        """
        return 0.0 if self._units is None else self._units.neutral

    def preprocessing(self) -> keras.Layer | None:
        """Makes the layer that suits such data before an encoder, not yet adapted.

        `VAE.for_data` puts it into the encoder that it chooses. None leaves x as it is.
        """
        return Standardize()

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
            if not layer.built:
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
        """The mean of p(x|z), (B, *data_shape), as pictures show it."""

    @abc.abstractmethod
    def supports(self, x: Tensor) -> Tensor:
        """Returns for each entry of x whether it is in the support; NaN is."""

    def mode(self, params: Params) -> Tensor:
        """The most probable x, (B, *data_shape)."""
        return self.distribution(params).mode()

    def calibrate(
        self,
        params: Params,
        x: Tensor,
        mask: Tensor | None = None,
        sample_weight: Tensor | None = None,
    ) -> Params:
        """Sets parameters that training computes from the batch itself; here, none.

        It is called only in training, between `call` and `log_prob`. Weights, which are
        saved, hold what evaluation needs.

        Args:
            params: from `call`, each (K, B, *data_shape, ...).
            x: (B, *data_shape), one batch.
            mask: 1 where x is observed, in the shape of x, or None.
            sample_weight: (B,) or None.

        Returns:
            params: the same names and shapes.
        """
        del x, mask, sample_weight
        return params

    def entry_log_prob(self, params: Params, x: Tensor) -> Tensor:
        """Computes the log-density of each entry of x alone, nats, in the shape of x.

        The default takes the distribution that `Independent` wraps.
        """
        return self.distribution(params).distribution.log_prob(x)

    def observed_log_prob(
        self, params: Params, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Computes log p of the observed entries of an x inside the support, (...) nats.

        Args:
            params: from `call`, each (..., *data_shape, ...).
            x: (..., *data_shape), `filler` where an entry is missing.
            observed: booleans in the shape of x, or None if every entry is observed.
        """
        entries = self.entry_log_prob(params, x)
        if observed is not None:
            entries = tf.where(observed, entries, tf.zeros_like(entries))
        return tf.reduce_sum(entries, axis=self._data_axes)

    def observed_log_prob_value(
        self, params: Params, x: Tensor, observed: Tensor | None
    ) -> Tensor:
        """Computes `observed_log_prob` where no gradient is taken of it, (...) nats.

        Override it if the value alone has a faster form.

        Args:
            params: as in `observed_log_prob`.
            x: as in `observed_log_prob`.
            observed: as in `observed_log_prob`.
        """
        return self.observed_log_prob(params, x, observed)

    @property
    def _data_axes(self) -> list[int]:
        return list(range(-len(self.data_shape), 0))

    def log_prob(self, params: Params, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Computes log p(x|z) in nats, summed over (observed) entries.

        An entry outside the support has density zero, so the result is -inf: an obvious
        value, never a number that looks right.

        Args:
            params: from `call`, each (..., *data_shape).
            x: (..., *data_shape), broadcast against the parameters.
            mask: 1 where x is observed, 0 where it is missing, in the shape of x; the
                missing entries of x may hold anything.

        Returns:
            log_prob: (...) nats.
        """
        return self._of_support(self.observed_log_prob, params, x, mask)

    def log_prob_value(
        self, params: Params, x: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """Computes `log_prob` where no gradient is taken of it, which may be faster.

        Args:
            params: as in `log_prob`.
            x: as in `log_prob`.
            mask: as in `log_prob`.

        Returns:
            log_prob: (...) nats, up to rounding those of `log_prob`.
        """
        return self._of_support(self.observed_log_prob_value, params, x, mask)

    def _of_support(
        self, density: Density, params: Params, x: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Applies a density of observed entries, with -inf outside the support."""
        x = tf.cast(x, self.maths_dtype)
        counts = tf.ones_like(x, tf.bool) if mask is None else tf.cast(mask, tf.bool)
        inside = self.supports(x)
        # Missing and impossible entries get a harmless value first, because a NaN that
        # is masked only after the density would still come back through the gradient.
        filler = tf.constant(self.filler, x.dtype)
        safe = tf.where(counts & inside, x, filler)
        total = density(params, safe, None if mask is None else counts)
        possible = tf.reduce_all(inside | ~counts, axis=self._data_axes)
        return tf.where(possible, total, tf.constant(-np.inf, total.dtype))

    def check_support(self, x: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Raises unless every observed entry of an array is in the support.

        Args:
            x: (N, *data_shape).
            mask: 1 where x is observed, in the shape of x.

        Raises:
            ValueError: with the range of x and what to do.
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

    def load_own_variables(self, store: Any) -> None:
        """Loads the weights of a file, even one from before likelihoods had units."""
        if self._units is None or not self._units.load(self, store):
            super().load_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "data_shape": self.data_shape}
