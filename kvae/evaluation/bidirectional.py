"""Bidirectional Monte Carlo: bounds on log p(x) for data drawn from the model."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_vae
from kvae.evaluation.annealed_importance import (
    annealing_warning,
    checked_setting,
    describe,
)
from kvae.evaluation.annealing import anneal, check_latent_space
from kvae.evaluation.log_likelihood import importance_estimate
from kvae.evaluation.result import Estimate, Result
from kvae.noise import counter_normal

_LATENTS = 0xB1D  # tag of the random stream of the simulated latents


@dataclasses.dataclass(frozen=True)
class BidirectionalResult(Result):
    """The bracket of log p(x) for data simulated from the model.

    Attributes:
        lower: mean of the forward estimates, at most log p(x) in expectation.
        upper: mean of the backward estimates, at least log p(x) in expectation.
        gap: mean of upper - lower over the same examples: an upper bound, in
            expectation, on the error of the forward estimate.
        acceptance: mean probability of accepting a move, over both directions.
        num_examples: N, simulated examples.
        num_chains: chains per example and direction.
        num_steps: temperatures.
        estimator: its name.
        seed: of all noise.
        warning: in words if the chains did not work well, else "".
        x: (N, *data_shape) the simulated examples.
        per_example_lower: (N,) nats.
        per_example_upper: (N,) nats.
    """

    lower: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    upper: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    gap: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    acceptance: float
    num_examples: int
    num_chains: int
    num_steps: int
    estimator: str
    seed: int
    warning: str
    x: np.ndarray
    per_example_lower: np.ndarray
    per_example_upper: np.ndarray


def bidirectional_monte_carlo(
    vae: Any,
    num_examples: int = 16,
    *,
    num_chains: int = 16,
    num_steps: int = 500,
    num_leapfrog: int = 10,
    start: str = "prior",
    seed: int = 0,
    condition: Any = None,
) -> BidirectionalResult:
    """Brackets log p(x) of simulated data between two annealed estimates.

        z ~ p(z), x ~ p(x|z):  z is then an exact draw of p(z|x)
        lower: log mean exp(w), chains from start(z) to p(z|x)
        upper: -log mean exp(-w), chains from the exact z back to start(z)

    The gap says how far annealed importance sampling with the same setting is from the
    truth on data like the model's own.

    Args:
        vae: a built `kvae.VAE` whose latents are in R^D.
        num_examples: N, examples to simulate.
        num_chains: chains per example and direction.
        num_steps: T, temperatures; the gap shrinks with T.
        num_leapfrog: leapfrog steps per move.
        start: "prior" or "posterior".
        seed: of all noise.
        condition: (N, ...) the c of p(x|z,c), or one for all; None if there is none.

    Returns:
        result: both bounds, their gap, and the simulated examples.

    Raises:
        ValueError: if an argument is out of range, the condition does not fit the model,
            it is not built, or its latents are on a sphere.

    Source: Grosse, Ghahramani, Adams 2015, arXiv:1511.02543; Wu, Burda, Salakhutdinov,
        Grosse 2017, arXiv:1611.04273.
    """
    setting = checked_setting(num_chains, num_steps, num_leapfrog, start, seed)
    num_examples = check_count("num_examples", num_examples, 2)
    check_vae(vae)
    if not vae.built:
        raise ValueError(
            "the model is not built, so it has nothing to simulate from. Train it, or "
            "call vae.build first."
        )
    prior = vae.prior(None) if condition is None else {}
    check_latent_space(vae)
    arrays, z = _simulate(vae, num_examples, setting.seed, condition)
    lower, upper, chances, sizes = [], [], [], []
    for i in range(num_examples):
        example = {name: array[i : i + 1] for name, array in arrays.items()}
        weights, forward = anneal(vae, example, prior, i, setting)
        value, size = importance_estimate(weights)
        lower.append(value)
        weights, backward = anneal(vae, example, prior, i, setting, exact=z[i])
        upper.append(-importance_estimate(-weights)[0])
        chances.append(0.5 * (forward + backward))
        sizes.append(size)
    low, high = np.array(lower), np.array(upper)
    acceptance = float(np.mean(chances))
    return BidirectionalResult(
        lower=Estimate.mean_of(low),
        upper=Estimate.mean_of(high),
        gap=Estimate.mean_of(high - low),
        acceptance=acceptance,
        num_examples=num_examples,
        num_chains=num_chains,
        num_steps=num_steps,
        estimator=f"bidirectional Monte Carlo; {describe(setting)}",
        seed=setting.seed,
        warning=annealing_warning(acceptance, np.array(sizes), num_chains),
        x=arrays["x"],
        per_example_lower=low,
        per_example_upper=high,
    )


def _simulate(
    vae: Any, num: int, seed: int, condition: Any
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    key = tf.constant([seed, _LATENTS], tf.int32)
    condition = vae._condition_for(condition, num)
    base = counter_normal(
        key, tf.range(num), 1, vae.prior.noise_dim, dtype=vae.maths_dtype
    )[0]
    given = None if condition is None else tf.constant(condition)
    z = vae.prior.sample(vae.prior(given), base)
    params = vae.likelihood_params(z, given)
    x = vae.likelihood.distribution(params).sample(seed=key).numpy()
    arrays = {"x": x} if condition is None else {"x": x, "condition": condition}
    return arrays, z.numpy()
