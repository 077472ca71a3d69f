"""The KL term split into three terms, each with a weight."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from kvae.core.checks import is_count, is_number
from kvae.core.inputs import Inputs
from kvae.core.types import Draw, LossParts, Tensor
from kvae.noise import Noise
from kvae.objectives.base import Objective
from kvae.objectives.weight import Schedule, Weight

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="kvae")
class BetaTC(Objective):
    """Weights the total correlation of the aggregate posterior separately.

        rate = mutual_information + total_correlation + dimension_wise_kl
        mutual_information = E log q(z|x) - log q(z)
        total_correlation  = E log q(z) - sum_d log q(z[d])
        dimension_wise_kl  = E sum_d log q(z[d]) - log p(z)
        loss = distortion + alpha mutual_information + beta total_correlation
               + gamma dimension_wise_kl

    q(z) is the mixture of q(z|x) over the whole data set, estimated from one batch (of
    one replica). The three terms are biased, but their sum is not. All three are reported
    as metrics. Examples with a `sample_weight` of zero still belong to the mixture.

    Args:
        dataset_size: N, the number of training examples.
        beta: weight of the total correlation, a number or a schedule.
        alpha: weight of the mutual information.
        gamma: weight of the dimension-wise KL.
        estimator: the estimator of q(z): "stratified" (unbiased for q(z), but not for its
            logarithm) or "weighted" (biased; treats all examples of the batch alike).
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if an argument is out of range, or, when the model is built, if the
            posterior's dimensions are not independent.

    Source: Chen et al. 2018, "Isolating sources of disentanglement in variational
        autoencoders", arXiv:1802.04942.
    """

    def __init__(
        self,
        dataset_size: int,
        beta: float | Schedule = 6.0,
        *,
        alpha: float = 1.0,
        gamma: float = 1.0,
        estimator: str = "stratified",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not is_count(dataset_size, 2):
            raise ValueError(
                "BetaTC expects dataset_size to be the number of training examples, at "
                f"least 2; received {dataset_size!r}. Pass len(x_train)."
            )
        for name, value in (("alpha", alpha), ("gamma", gamma)):
            if not (is_number(value) and value >= 0):
                raise ValueError(
                    f"BetaTC expects {name} to be finite and >= 0; received {value!r}."
                )
        if estimator not in ("stratified", "weighted"):
            raise ValueError(
                'BetaTC expects estimator to be "stratified" or "weighted"; received '
                f"{estimator!r}."
            )
        self.dataset_size = dataset_size
        self.alpha = alpha
        self.gamma = gamma
        self.estimator = estimator
        self._beta = Weight(self, "beta", beta)

    @property
    def beta(self) -> Any:
        """The weight of the total correlation: a Keras variable, or its schedule."""
        return self._beta.current

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta.assign(value)

    def parts(
        self, model: Any, inputs: Inputs, noise: Noise, training: bool
    ) -> LossParts:
        """Computes distortion and the three terms of the rate, each (B,) nats."""
        draw = model.draw(inputs, noise, 1, training)
        information, correlation, dimension_wise = self.decompose(model, draw)
        distortion = -draw.log_likelihood[0]
        beta = self._beta.at(model, correlation.dtype)
        kl_term = (
            self.alpha * information + beta * correlation + self.gamma * dimension_wise
        )
        return LossParts(
            distortion=distortion,
            rate=self.rate(model, draw),
            data_term=distortion,
            kl_term=kl_term,
            posterior_mean=model.posterior.active_means(draw),
            metrics={
                "mutual_information": information,
                "total_correlation": correlation,
                "dimension_wise_kl": dimension_wise,
                **self._beta.metrics(model),
            },
            draw=draw,
        )

    def decompose(self, model: Any, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """Splits the rate at the first latent of each example.

        Args:
            model: the `kvae.VAE`.
            draw: from `model.draw`, of a batch of B examples.

        Returns:
            parts: mutual information, total correlation, and dimension-wise KL, each (B,)
                nats. They add up to log q(z|x) - log p(z).
        """
        posterior = model.posterior.distribution(draw.posterior)
        if not isinstance(posterior, tfd.Independent):
            raise ValueError(
                "BetaTC needs a posterior whose dimensions are independent given x. Those "
                f"of {type(model.posterior).__name__} aren't. Use DiagonalNormal, or the "
                "objective FactorVAE, which takes any posterior."
            )
        # Row i, column j: the latent of example i under the posterior of example j.
        pairs = posterior.distribution.log_prob(draw.z[0][:, None, :])  # (B, B, D)
        log_shares = tf.math.log(self._shares(tf.shape(pairs)[0], pairs.dtype))
        log_joint = tf.reduce_logsumexp(tf.reduce_sum(pairs, 2) + log_shares, axis=1)
        log_marginals = tf.reduce_logsumexp(pairs + log_shares[:, :, None], axis=1)
        log_product = tf.reduce_sum(log_marginals, axis=1)
        return (
            draw.log_posterior[0] - log_joint,
            log_joint - log_product,
            log_product - draw.log_prior[0],
        )

    def _shares(self, batch: Tensor, dtype: Any) -> Tensor:
        """Computes the share of posterior j in q(z) at the latent of example i, (B, B)."""
        size = tf.cast(self.dataset_size, dtype)
        if self.estimator == "weighted":
            return tf.ones((batch, batch), dtype) / (size * tf.cast(batch, dtype))
        # Stratified: example i itself is 1 of N, and one of the M others represents the
        # remainder, so that the shares of a row add up to one.
        others = tf.cast(tf.maximum(batch - 1, 1), dtype)
        own = tf.eye(batch, dtype=dtype)
        next_one = tf.roll(own, 1, axis=1) * (1 - own)
        rest = tf.maximum((size - others) / (size * others), 0)
        return own / size + next_one * rest + (1 - own - next_one) / others

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "dataset_size": self.dataset_size,
            "beta": self._beta.config(),
            "alpha": self.alpha,
            "gamma": self.gamma,
            "estimator": self.estimator,
        }
