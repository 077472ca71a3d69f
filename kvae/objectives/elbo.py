"""The evidence lower bound."""

from __future__ import annotations

import logging
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import check_size
from kvae.core.inputs import Inputs
from kvae.core.types import Draw, LossParts, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.weight import Schedule, Weight

tfd = tfp.distributions

_LOG = logging.getLogger("kvae")


@keras.saving.register_keras_serializable(package="kvae")
class ELBO(Objective):
    """Minimizes distortion + beta * rate.

        loss = -E_q[log p(x|z)] + beta * KL(q(z|x) || p(z))

    With beta = 1 this is minus the evidence lower bound on log p(x). The metrics `rate`,
    `distortion`, and `elbo` are unweighted for any beta.

    Args:
        beta: weight of the rate, at least 0. A number becomes a Keras weight: you can
            assign `objective.beta = 2.0` at any time, also between epochs. A schedule,
            such as `kvae.schedules.LinearWarmup(steps=1000)` or any Keras learning-rate
            schedule, is evaluated at the model's saved step counter, and the metric
            `beta` reports its value.
        num_samples: K, latents drawn per example for the expectation.
        kl: "exact" uses the closed form, and raises if posterior and prior have none.
            "levels" adds up the closed forms of all levels, each given the latents
            above it, averaged over the same latents: for posteriors such as
            `TopDownMaps`. "sampled" averages log q(z|x) - log p(z) over these latents.
            None uses the closed form if there is one, then that of levels. Otherwise
            it uses the latents, sets `kl` to "sampled", and logs this.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is out of range.

    Source: Kingma, Welling 2014, arXiv:1312.6114; beta: Higgins et al. 2017,
        "beta-VAE", ICLR.
    """

    def __init__(
        self,
        beta: float | Schedule = 1.0,
        num_samples: int = 1,
        *,
        kl: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_size("num_samples", num_samples)
        if kl not in ("exact", "levels", "sampled", None):
            raise ValueError(
                'ELBO expects kl to be "exact", "levels", "sampled", or None; received '
                f"{kl!r}."
            )
        self.num_samples = num_samples
        self.kl = kl
        self._beta = Weight(self, "beta", beta)

    @property
    def beta(self) -> Any:
        """The weight of the rate: a Keras variable, or the schedule it follows."""
        return self._beta.current

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta.assign(value)

    @property
    def exact_rate(self) -> bool:
        """Whether `rate` is the closed form, which is known once the model is built."""
        return self.kl not in ("levels", "sampled")

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes rate and distortion of each example, (B,) nats."""
        draw = model.draw(inputs, noise, self.num_samples, training)
        distortion = -tf.reduce_mean(draw.log_likelihood, axis=0)
        rate = self.rate(model, draw)
        return LossParts(
            distortion=distortion,
            rate=rate,
            data_term=distortion,
            kl_term=self.weighted(model, rate),
            posterior_mean=model.posterior.active_means(draw),
            metrics=self._beta.metrics(model),
            draw=draw,
        )

    def weighted(self, model: Any, rate: Tensor) -> Tensor:
        """Computes beta * rate, with the beta of the model's step."""
        return self._beta.at(model, rate.dtype) * rate

    def rate(self, model: Any, draw: Draw) -> Tensor:
        """Computes KL(q(z|x) || p(z)), (B,) nats, by the chosen estimator."""
        if self.kl == "sampled":
            return super().rate(model, draw)
        if self.kl == "levels":
            return self._rate_of_levels(model, draw)
        posterior = model.posterior.distribution(draw.posterior)
        prior = model.prior.distribution(draw.prior)
        try:
            return tfd.kl_divergence(posterior, prior)
        except NotImplementedError:
            pair = f"{type(model.posterior).__name__} || {type(model.prior).__name__}"
            if self.kl == "exact":
                raise ValueError(
                    f'KL({pair}) has no closed form. Use ELBO(kl="sampled") to estimate '
                    "it from the latents."
                ) from None
            if model.posterior.level_rates(draw) is not None:
                self.kl = "levels"
                return self._rate_of_levels(model, draw)
            self.kl = "sampled"
            _LOG.info(
                "KL(%s) has no closed form, so it is estimated from the latents: "
                'ELBO(kl="sampled")',
                pair,
            )
            return super().rate(model, draw)

    def _rate_of_levels(self, model: Any, draw: Draw) -> Tensor:
        rates = model.posterior.level_rates(draw)
        if rates is None:
            raise ValueError(
                f'ELBO(kl="levels") needs a posterior with levels, such as TopDownMaps; '
                f'{type(model.posterior).__name__} has none. Use kl="sampled" or None.'
            )
        return tf.reduce_mean(tf.reduce_sum(rates, axis=-1), axis=0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "beta": self._beta.config(),
            "num_samples": self.num_samples,
            "kl": self.kl,
        }
