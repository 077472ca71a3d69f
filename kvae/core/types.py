"""The records that the parts of a model exchange."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A TensorFlow tensor. Each use states its shape."""

Params: TypeAlias = dict[str, Tensor]
"""The parameters of a distribution by name, each with the batch first."""

Sampler: TypeAlias = Callable[[Params, Tensor], tuple[Tensor, Tensor]]
"""Maps parameters and base noise (K, B, noise_dim) to z (K, B, D) and log q (K, B)."""


@dataclasses.dataclass(frozen=True)
class Walk:
    """What a posterior computes while it draws latents.

    A posterior that runs the decoder on its way down, as `posteriors.TopDownMaps` does,
    fills in all of it, so that nothing runs twice. Others only have the first two.

    Attributes:
        z: (K, B, D) latents.
        log_posterior: (K, B) log q(z|x), nats.
        log_prior: (K, B) log p(z), nats, or None.
        features: (K * B, ...) what the decoder makes of z, or None.
        rates: (K, B, L) closed-form KL(q || p) of each level given the latents above it,
            nats, or None.
        active_means: (B, D) what `Posterior.active_means` returns, or None.
    """

    z: Tensor
    log_posterior: Tensor
    log_prior: Tensor | None = None
    features: Tensor | None = None
    rates: Tensor | None = None
    active_means: Tensor | None = None


@dataclasses.dataclass(frozen=True)
class Draw:
    """Latents drawn from q(z|x) and every density at them. All objectives start from it.

    Attributes:
        z: (K, B, D) latents.
        posterior: parameters of q(z|x), each (B, ...).
        prior: parameters of p(z), or of p(z|c), each (B, ...) or without a batch.
        likelihood: parameters of p(x|z), each (K, B, ...).
        log_likelihood: (K, B) log p(x|z), nats, over observed entries.
        log_prior: (K, B) log p(z), nats.
        log_posterior: (K, B) log q(z|x), nats.
        entries: (B,) how many entries of x `log_likelihood` covers; None if all.
        walk: what the posterior computed while it drew z, or None.
    """

    z: Tensor
    posterior: Params
    prior: Params
    likelihood: Params
    log_likelihood: Tensor
    log_prior: Tensor
    log_posterior: Tensor
    entries: Tensor | None = None
    walk: Walk | None = None

    @property
    def log_weights(self) -> Tensor:
        """Returns (K, B) log importance weights, log p(x, z) - log q(z|x), in nats."""
        return self.log_likelihood + self.log_prior - self.log_posterior


@dataclasses.dataclass(frozen=True)
class LossParts:
    """The loss of one batch in named terms, per example and in nats.

    Training minimizes the batch mean of `data_term + kl_term`. The metrics are `rate` and
    `distortion`, which no weight or trick of the objective changes, so that
    `elbo = -(rate + distortion)` means the same under every objective.

    Attributes:
        distortion: (B,) -E_q[log p(x|z)].
        rate: (B,) KL(q(z|x) || p(z)).
        data_term: (B,) the part of the loss that `compute_loss` averages.
        kl_term: (B,) the part of the loss that the model passes to `add_loss`.
        posterior_mean: (B, D) the mean of q(z|x), for counting active units, or what
            `Posterior.active_means` returns in its place.
        metrics: further metrics by name, each (B,) or a scalar.
        draw: the latents and densities from which the terms were computed. An objective
            that wraps another one adds its term at the same latents.
    """

    distortion: Tensor
    rate: Tensor
    data_term: Tensor
    kl_term: Tensor
    posterior_mean: Tensor
    metrics: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    draw: Draw | None = None

    @property
    def elbo(self) -> Tensor:
        """Returns the evidence lower bound (B,), -(rate + distortion), in nats."""
        return -(self.rate + self.distortion)
