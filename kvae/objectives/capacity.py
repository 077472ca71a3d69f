"""An objective that pulls the rate to a growing target."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.core.types import LossParts
from kvae.noise import Noise
from kvae.objectives.elbo import ELBO
from kvae.objectives.free_bits import check_elbo
from kvae.objectives.weight import Schedule, Weight
from kvae.objectives.wrapper import Wrapper


@keras.saving.register_keras_serializable(package="kvae")
class Capacity(Wrapper):
    """Pulls the rate of each example to a capacity, which usually grows by a schedule.

        loss = distortion + beta * |KL(q(z|x) || p(z)) - nats|

    beta is that of the wrapped ELBO. The paper calls it gamma and uses 1000.

    Args:
        objective: an `ELBO`, whose beta and way to compute the KL are used.
        nats: the capacity C, a number of at least 0 or a schedule, for example
            `kvae.schedules.LinearWarmup(steps=100_000, end=25.0)`. The metric `nats`
            reports the value of a schedule.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        TypeError: if `objective` is not an ELBO.
        ValueError: if `nats` is neither a number nor a schedule.

    Source: Burgess et al. 2018, "Understanding disentangling in beta-VAE",
        arXiv:1804.03599.
    """

    def __init__(
        self,
        objective: ELBO | None = None,
        nats: float | Schedule = 25.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(objective, **kwargs)
        check_elbo(self)
        self._nats = Weight(self, "nats", nats)

    @property
    def nats(self) -> Any:
        """The capacity: a Keras variable, or the schedule it follows."""
        return self._nats.current

    @nats.setter
    def nats(self, value: float) -> None:
        self._nats.assign(value)

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes the ELBO's terms, with the distance from the capacity as KL term."""
        parts, _ = self.wrapped_parts(model, inputs, noise, training)
        distance = tf.abs(parts.rate - self._nats.at(model, parts.rate.dtype))
        return dataclasses.replace(
            parts,
            kl_term=self.objective.weighted(model, distance),
            metrics={**parts.metrics, **self._nats.metrics(model)},
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "nats": self._nats.config()}
