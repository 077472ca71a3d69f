"""The evidence lower bound with its errors."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kvae.core.checks import check_count
from kvae.evaluation.examples import example_draws
from kvae.evaluation.result import Estimate, Result


@dataclasses.dataclass(frozen=True)
class ELBOResult(Result):
    """The bound on log p(x), split into rate and distortion.

    Attributes:
        elbo: -(rate + distortion), mean over examples with std / sqrt(N) as error.
        rate: KL(q(z|x) || p(z)), mean over examples.
        distortion: -E_q[log p(x|z)], mean over examples.
        bits_per_dim: -elbo / (ln 2 * entries), the observed ones.
        monte_carlo_error: standard error of the mean from the finite number of latents;
            NaN with one latent.
        num_examples: N.
        num_samples: K, latents per example.
        estimator: how rate and distortion were computed.
        seed: of the latents.
        per_example: (N,) ELBO of each example, nats.
        per_example_rate: (N,) nats.
    """

    elbo: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    rate: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    distortion: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    bits_per_dim: float
    monte_carlo_error: float = dataclasses.field(metadata={"unit": "nats"})
    num_examples: int
    num_samples: int
    estimator: str
    seed: int
    per_example: np.ndarray
    per_example_rate: np.ndarray


def elbo(
    vae: Any, x: Any, num_samples: int = 16, *, seed: int = 0, positions: Any = None
) -> ELBOResult:
    """Estimates the evidence lower bound, unweighted, whatever objective trained the model.

        elbo = E_q[log p(x|z)] - KL(q(z|x) || p(z))  <=  log p(x)

    The rate is in closed form if the pair of posterior and prior has one, else the mean
    of log q(z|x) - log p(z) over the same latents.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        num_samples: K, latents per example.
        seed: of the latents.
        positions: (N,) integers that the noise of each example depends on; 0 .. N-1 if
            None.

    Returns:
        result: the bound, its parts and its errors.

    Raises:
        ValueError: if the data do not fit the model or an argument is out of range.

    Source: Kingma, Welling 2014, arXiv:1312.6114, eq. 3.
    """
    num_samples = check_count("num_samples", num_samples)
    rates, distortions, variances = [], [], []
    exact = True
    for draw in example_draws(vae, x, num_samples, seed, positions):
        log_likelihoods = draw.log_likelihood.astype("float64")
        terms, rate = log_likelihoods, draw.exact_rate
        if math.isnan(rate):
            exact = False
            ratios = draw.log_posterior.astype("float64") - draw.log_prior
            terms, rate = log_likelihoods - ratios, float(ratios.mean())
        rates.append(rate)
        distortions.append(-log_likelihoods.mean())
        variances.append(terms.var(ddof=1) if num_samples > 1 else math.nan)
    values = -(np.array(rates) + np.array(distortions))
    mean = Estimate.mean_of(values)
    entries = vae.read_inputs(x).mean_entries(vae.data_shape)
    how = "in closed form" if exact else "from the same latents"
    return ELBOResult(
        elbo=mean,
        rate=Estimate.mean_of(np.array(rates)),
        distortion=Estimate.mean_of(np.array(distortions)),
        bits_per_dim=-mean.value / (math.log(2.0) * max(entries, 1e-12)),
        monte_carlo_error=math.sqrt(sum(variances) / num_samples) / len(values),
        num_examples=len(values),
        num_samples=num_samples,
        estimator=f"rate {how}, distortion from {num_samples} latents per example",
        seed=int(seed),
        per_example=values,
        per_example_rate=np.array(rates),
    )
