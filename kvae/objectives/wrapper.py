"""The base of objectives that change another objective."""

from __future__ import annotations

import abc
from typing import Any

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import Draw, LossParts, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.elbo import ELBO
from kvae.objectives.iwae import IWAE


class Wrapper(Objective, abc.ABC):
    """An objective that changes another one.

    Subclassing guide: in `parts`, call `self.wrapped_parts(...)`, compute the change at
    the latents that it returns, and `dataclasses.replace` the term that changes. Don't
    change `rate` and `distortion`, because they are the reported metrics.

    Args:
        objective: the objective that is changed; the plain `ELBO` if None.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `objective` is not an objective.
    """

    def __init__(self, objective: Objective | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.objective = ELBO() if objective is None else objective
        if not isinstance(self.objective, Objective):
            raise TypeError(
                f"{type(self).__name__} wraps a kvae objective, for example "
                f"kvae.objectives.ELBO(); received {objective!r}."
            )
        self.makes_condition |= self.objective.makes_condition
        self.monitor = self.objective.monitor
        self.monitor_mode = self.objective.monitor_mode

    @property
    def exact_rate(self) -> bool:
        """Whether the wrapped objective's `rate` is the closed form."""
        return self.objective.exact_rate

    def attach(self, model: Any) -> None:
        """Passes the model to the wrapped objective."""
        self.objective.attach(model)

    def adapt(self, x: Any, seed: int = 0) -> None:
        """Passes the training data to the wrapped objective."""
        self.objective.adapt(x, seed)

    def own_optimizers(self) -> list[tuple[Any, list[Any]]]:
        """Those of the wrapped objective."""
        return self.objective.own_optimizers()

    def rate(self, model: Any, draw: Draw) -> Tensor:
        """Estimates KL(q(z|x) || p(z)), (B,) nats, as the wrapped objective does."""
        return self.objective.rate(model, draw)

    def wrapped_parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> tuple[LossParts, Draw]:
        """Computes the wrapped objective's terms, and returns the draw behind them too."""
        parts = self.objective.parts(model, inputs, noise, training)
        if parts.draw is None:
            raise ValueError(
                f"{type(self).__name__} cannot wrap {type(self.objective).__name__}, which "
                "does not return its latents (LossParts.draw). Wrap an ELBO."
            )
        return parts, parts.draw

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        objective = keras.saving.serialize_keras_object(self.objective)
        return {**super().get_config(), "objective": objective}


def normals_beside(noise: Noise, tag: int, z: Tensor, dim: int) -> Tensor:
    """Draws standard normals to go with latents: (K, B, dim) for z of (K, B, D).

    Args:
        noise: of this pass.
        tag: makes these numbers independent of those that made z.
        z: (K, B, D) latents.
        dim: normals for each latent.

    Returns:
        normals: (K, B, dim), in the dtype of z.
    """
    num_samples = z.shape[0]  # in evaluation, K may be known only when the graph runs
    num_samples = tf.shape(z)[0] if num_samples is None else num_samples
    return noise.fold(tag).normal(num_samples, tf.shape(z)[1], dim, z.dtype.name)


def weighted_mean(values: Tensor, sample_weight: Tensor | None) -> Tensor:
    """Averages over the examples with their weights.

        mean = sum_b weight[b] values[b] / sum_b weight[b]

    Args:
        values: (B, ...).
        sample_weight: (B,) or None; weights that are all zero give 0.

    Returns:
        mean: (...).
    """
    if sample_weight is None:
        weight = tf.ones(tf.shape(values)[:1], values.dtype)
    else:
        weight = tf.cast(sample_weight, values.dtype)
    total = tf.tensordot(weight, values, axes=1)
    return tf.math.divide_no_nan(total, tf.reduce_sum(weight))


def innermost(objective: Objective) -> Objective:
    """Returns the objective inside all wrappers."""
    while isinstance(objective, Wrapper):
        objective = objective.objective
    return objective


def refuse_dreg(wrapper: Wrapper) -> None:
    """Raises if a term of the decoder is added to IWAE with the gradient "dreg".

    Raises:
        ValueError: because that one scales the gradient from the decoder to q(z|x).
    """
    inner = innermost(wrapper)
    if isinstance(inner, IWAE) and inner.gradient == "dreg":
        raise ValueError(
            f'{type(wrapper).__name__} cannot wrap IWAE(gradient="dreg"), which scales '
            'the gradient from the decoder to q(z|x). Use gradient="stl" or "plain".'
        )
