"""The variational mixture of posteriors."""

from __future__ import annotations

import logging
import math
import weakref
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_data_shape, check_size, is_number
from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.maths import choose_component
from kvae.networks.call import declared_inputs
from kvae.priors.base import Prior

tfd = tfp.distributions

_LOG = logging.getLogger("kvae")


@keras.saving.register_keras_serializable(package="kvae")
class VampPrior(Prior):
    """A mixture of the model's own posteriors at learned pseudo-examples.

        p(z) = 1/C sum_c q(z | u[c])

    The pseudo-examples u are weights. They go through the model's encoder and
    posterior, which learn from this use too. `adapt` starts them at training examples,
    which is far better than starting at noise. `VAE.for_data` calls it; for a model
    that you compose by hand, call `vae.prior.adapt(x_train)`. Any posterior on R^D will
    do, but if its density at an arbitrary z is slow, as for a flow, this prior is C
    times as slow.

    Args:
        latent_dim: D, the number of latent dimensions.
        data_shape: shape of one example, that of the likelihood.
        num_components: C; the paper uses 500.
        bounds: lowest and highest value of a pseudo-example; None sets no bounds.
            "data" leaves the choice to `adapt`: (0, 1) if all examples are in [0, 1],
            else None.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if `num_components` or `latent_dim` is not positive, or `bounds` are
            neither a low and a high number nor "data".

    Source: Tomczak, Welling 2018, arXiv:1705.07120.
    """

    def __init__(
        self,
        latent_dim: int | tuple[int, ...],
        data_shape: tuple[int, ...],
        num_components: int = 500,
        *,
        bounds: tuple[float, float] | str | None = "data",
        **kwargs: Any,
    ) -> None:
        super().__init__(latent_dim, **kwargs)
        check_size("num_components", num_components)
        self.data_shape = check_data_shape("VampPrior", data_shape)
        self.num_components = num_components
        self.bounds = _checked(bounds)
        self._bounds_follow_data = self.bounds == "data"
        self._model: Any = None
        self._examples = self.add_weight(
            name="pseudo_examples",
            shape=(num_components, *self.data_shape),
            initializer=keras.initializers.RandomUniform(*self.bounds)
            if isinstance(self.bounds, tuple)
            else keras.initializers.RandomNormal(),
            constraint=_constraint(self.bounds),
            autocast=False,
        )
        self.built = True

    def attach(self, model: Any) -> None:
        """Remembers the model whose encoder and posterior it uses."""
        if model.likelihood.data_shape != self.data_shape:
            raise ValueError(
                f"VampPrior has data_shape={self.data_shape} and the likelihood "
                f"data_shape={model.likelihood.data_shape}; give both the same."
            )
        # A weak reference is not tracked, because the model itself saves its parts.
        self._model = weakref.ref(model)

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Starts the pseudo-examples at training examples, drawn at random.

        Call it before training, because the bounds that it chooses apply only to graphs
        that are traced later.

        Args:
            x: (N, *data_shape) training examples; with replacement if N is below C.
            seed: of the choice.

        Raises:
            ValueError: if x is empty, has another shape, is not finite, or is outside the
                bounds.
        """
        x = np.asarray(x)
        if x.shape[1:] != self.data_shape or len(x) == 0:
            raise ValueError(
                f"VampPrior.adapt expects examples of shape (N, *{self.data_shape}) with "
                f"N at least 1; received {x.shape}."
            )
        rng = np.random.default_rng(seed)
        chosen = x[
            rng.choice(
                len(x), self.num_components, replace=len(x) < self.num_components
            )
        ]
        if not np.isfinite(chosen).all():
            raise ValueError(
                "VampPrior.adapt expects finite examples; received NaN or infinity. "
                "Leave out examples with missing entries, or fill them in."
            )
        if self._bounds_follow_data:
            in_unit = np.nanmin(x) >= 0 and np.nanmax(x) <= 1
            self.bounds = (0.0, 1.0) if in_unit else None
            self._examples.constraint = _constraint(self.bounds)
        elif isinstance(self.bounds, tuple) and (
            chosen.min() < self.bounds[0] or chosen.max() > self.bounds[1]
        ):
            raise ValueError(
                f"VampPrior.adapt expects examples within bounds={self.bounds}; received "
                f"min={chosen.min():.3g}, max={chosen.max():.3g}. Pass the range of "
                'the data as bounds, or bounds="data".'
            )
        self._examples.assign(chosen.astype("float32"))
        kept = "without bounds" if self.bounds is None else f"kept in {self.bounds}"
        why = (
            ", as all examples are" if self._bounds_follow_data and self.bounds else ""
        )
        _LOG.info(
            "VampPrior: %d pseudo-examples start at training examples, %s%s",
            self.num_components,
            kept,
            why,
        )

    @property
    def noise_dim(self) -> int:
        """The noise of the posterior, and one standard normal that picks the component."""
        return int(self._attached().posterior.noise_dim) + 1

    def call(self, condition: Tensor | None = None) -> Params:
        """Returns the posterior's parameters at the pseudo-examples, each (C, ...)."""
        del condition
        model = self._attached()
        if "condition" in (declared_inputs(model.encoder) or ()):
            raise ValueError(
                "VampPrior has pseudo-examples but no pseudo-conditions, and this encoder "
                "needs a condition. Use an encoder of x alone, or ConditionalNormal."
            )
        params: Params = model.posterior_params(Inputs(self._examples.value))
        return params

    def distribution(self, params: Params) -> Any:
        """Makes a `tfd.MixtureSameFamily` with batch () and event (D,)."""
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.zeros(self.num_components, self.maths_dtype)),
            self._attached().posterior.distribution(params),
        )

    def log_prob(self, params: Params, z: Tensor) -> Tensor:
        """Computes log p(z) in nats: z of (K, B, D) gives (K, B)."""
        terms = self._attached().posterior.log_prob_of_each(params, z)
        return tf.reduce_logsumexp(terms, axis=-1) - math.log(self.num_components)

    def sample(
        self, params: Params, noise: Tensor, temperature: Tensor | float = 1.0
    ) -> Tensor:
        """Picks pseudo-examples by the last entry of the noise, and draws: (..., D).

        The temperature shrinks the components, not the choice among them; at 0 every draw
        is the center of a component.
        """
        uniform = tf.zeros(self.num_components, noise.dtype)
        flat = tf.reshape(noise, (-1, noise.shape[-1]))
        index = choose_component(uniform, flat[:, -1])
        chosen = {name: tf.gather(value, index) for name, value in params.items()}
        posterior = self._attached().posterior
        z = posterior.sample(chosen, (temperature * flat[:, :-1])[None])[0]
        return tf.reshape(z, tf.concat([tf.shape(noise)[:-1], [self.latent_dim]], 0))

    def _attached(self) -> Any:
        model = self._model and self._model()
        if model is None:
            raise ValueError(
                "VampPrior works through the encoder and posterior of a model; pass it to "
                "kvae.VAE(prior=...) first, and keep that model."
            )
        return model

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "data_shape": self.data_shape,
            "num_components": self.num_components,
            "bounds": self.bounds,
        }


def _checked(bounds: Any) -> tuple[float, float] | str | None:
    if bounds is None or (isinstance(bounds, str) and bounds == "data"):
        return bounds
    pair = tuple(bounds) if isinstance(bounds, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(is_number, pair)) or not pair[0] < pair[1]:
        raise ValueError(
            'VampPrior expects bounds=(low, high) with low < high, "data" or None; '
            f"received {bounds!r}."
        )
    return (pair[0], pair[1])


def _constraint(bounds: Any) -> Any:
    return _Clip(*bounds) if isinstance(bounds, tuple) else None


@keras.saving.register_keras_serializable(package="kvae")
class _Clip(keras.constraints.Constraint):
    """Puts a weight back within bounds after each step of the optimizer."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def __call__(self, w: Tensor) -> Tensor:
        return keras.ops.clip(w, self.low, self.high)

    def get_config(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}
