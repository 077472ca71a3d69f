"""The importance-weighted log-likelihood."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kvae.core.checks import check_count
from kvae.evaluation.examples import example_draws, first_rows, within
from kvae.evaluation.result import Estimate, Result

_FEW = 10.0  # effective samples below which one estimate can't be trusted


@dataclasses.dataclass(frozen=True)
class LogLikelihoodResult(Result):
    """How probable the model finds the data.

    Attributes:
        log_likelihood: mean over examples; its error comes from the choice of examples,
            std / sqrt(N).
        monte_carlo_error: standard error of that mean from the finite number of latents;
            NaN for one.
        bias: by how much the mean is expected to lie below log p(x), to second order,
            -mean( (1/ESS - 1/K) / 2 ); meaningless where the weights are degenerate.
        bits_per_dim: -log_likelihood / (ln 2 * entries), the observed ones.
        effective_sample_size: mean over examples of (sum w)^2 / sum w^2, from 1 to K.
        smallest_effective_sample_size: the smallest over examples.
        num_examples: N.
        num_samples: K, latents per example.
        estimator: its name.
        seed: of the latents.
        warning: in words if the weights are degenerate, else "".
        per_example: (N,) nats.
        per_example_ess: (N,) effective sample sizes.
    """

    log_likelihood: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    monte_carlo_error: float = dataclasses.field(metadata={"unit": "nats"})
    bias: float = dataclasses.field(metadata={"unit": "nats"})
    bits_per_dim: float
    effective_sample_size: float
    smallest_effective_sample_size: float
    num_examples: int
    num_samples: int
    estimator: str
    seed: int
    warning: str
    per_example: np.ndarray
    per_example_ess: np.ndarray


def log_likelihood(
    vae: Any,
    x: Any,
    num_samples: int = 5000,
    seed: int = 0,
    *,
    positions: Any = None,
    seconds: float | None = None,
) -> LogLikelihoodResult:
    """Estimates log p(x) of each example by importance sampling from q(z|x).

        log p(x) ~ log( sum_k w_k / K ),   w_k = p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q

    The expectation of the estimate never exceeds log p(x), and approaches it as K
    grows. The same seed gives the same bits, in any order and on any subset of the
    examples if you pass `positions`; memory does not grow with K or N.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask";
            with a mask the result is log p of the observed entries.
        num_samples: K, latents per example.
        seed: of the latents.
        positions: (N,) integers that the noise of each example depends on; 0 .. N-1 if
            None.
        seconds: after so long no further example is begun; the result is that of the
            first ones, at least two. None takes all.

    Returns:
        result: values, errors, and a warning in words if they can't be trusted.

    Raises:
        ValueError: if the data do not fit the model or an argument is out of range.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519, section 5, with K = 5000.
    """
    num_samples = check_count("num_samples", num_samples)
    draws = example_draws(vae, x, num_samples, seed, positions)
    done = (importance_estimate(draw.log_weights) for draw in draws)
    pairs = list(within(done, seconds))
    values, sizes = (np.array(column) for column in zip(*pairs, strict=True))
    entries = first_rows(vae.read_inputs(x), len(pairs)).mean_entries(vae.data_shape)
    return summarize(values, sizes, num_samples, seed, entries)


def importance_estimate(log_weights: np.ndarray) -> tuple[float, float]:
    """Computes log mean exp of log-weights, and the effective sample size.

        estimate = log( sum_k w_k / K ),   ESS = (sum_k w_k)^2 / sum_k w_k^2

    Args:
        log_weights: (K,) nats.

    Returns:
        estimate: nats; -inf if all weights are 0.
        ess: from 1 to K; 1 if all weights are 0.
    """
    largest = log_weights.max()
    if not np.isfinite(largest):
        return float(largest), 1.0
    weights = np.exp(log_weights - largest)
    total = weights.sum()
    estimate = largest + np.log(total / len(weights))
    return float(estimate), float(total**2 / np.square(weights).sum())


def summarize(
    values: np.ndarray, sizes: np.ndarray, num_samples: int, seed: int, entries: float
) -> LogLikelihoodResult:
    """Makes the result from the estimate and the effective sample size per example."""
    variance = relative_variance(sizes, num_samples)
    mean = Estimate.mean_of(values)
    return LogLikelihoodResult(
        log_likelihood=mean,
        monte_carlo_error=float(np.sqrt(variance.sum()) / len(values)),
        bias=float(-0.5 * variance.mean()),
        bits_per_dim=-mean.value / (math.log(2.0) * max(entries, 1e-12)),
        effective_sample_size=float(sizes.mean()),
        smallest_effective_sample_size=float(sizes.min()),
        num_examples=len(values),
        num_samples=num_samples,
        estimator=f"importance sampling from q(z|x), {num_samples} samples",
        seed=int(seed),
        warning=degenerate_warning(values, sizes, num_samples),
        per_example=values,
        per_example_ess=sizes,
    )


def relative_variance(sizes: np.ndarray, num_samples: int) -> np.ndarray:
    """Computes the variance of each mean weight as a share of its square: 1/ESS - 1/K.

    Args:
        sizes: (N,) effective sample sizes.
        num_samples: K.

    Returns:
        variance: (N,), that of log p(x) to first order; NaN for one sample.
    """
    if num_samples == 1:
        return np.full_like(sizes, np.nan)  # one sample gives no error
    return np.maximum(1.0 / sizes - 1.0 / num_samples, 0.0)


def degenerate_warning(values: np.ndarray, sizes: np.ndarray, num_samples: int) -> str:
    """Says in words why log p(x) can't be trusted, or "".

    Args:
        values: (N,) estimates, nats.
        sizes: (N,) effective sample sizes.
        num_samples: K.

    Returns:
        warning: a sentence or "".
    """
    impossible = int((~np.isfinite(values)).sum())
    if impossible:
        return (
            f"{impossible} of {len(values)} examples have no finite log-likelihood: the "
            "model gives them probability 0 at every latent drawn, or its outputs are "
            "not numbers."
        )
    if num_samples == 1:
        return "one sample per example makes this the ELBO, not a likelihood."
    few = int((sizes < min(_FEW, 0.5 * num_samples)).sum())
    if few == 0:
        return ""
    return (
        f"the weights of {few} of {len(values)} examples are degenerate: fewer than "
        f"{min(_FEW, 0.5 * num_samples):g} of {num_samples} samples count, so log p(x) is "
        "likely underestimated there. Raise num_samples, or take "
        "annealed_importance_sampling as a second opinion."
    )
