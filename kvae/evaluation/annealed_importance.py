"""Annealed importance sampling: a second opinion on log p(x)."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_seed
from kvae.evaluation.annealing import Annealing, anneal, check_latent_space
from kvae.evaluation.examples import check_positions, prepare
from kvae.evaluation.log_likelihood import importance_estimate, relative_variance
from kvae.evaluation.result import Estimate, Result


@dataclasses.dataclass(frozen=True)
class AISResult(Result):
    """How probable the model finds the data, by annealing.

    Attributes:
        log_likelihood: mean over examples; its error is std / sqrt(N).
        monte_carlo_error: standard error of that mean from the finite number of chains;
            NaN for one.
        effective_sample_size: mean over examples, from 1 to the number of chains.
        acceptance: mean probability of accepting a Hamiltonian move.
        num_examples: N.
        num_chains: chains per example.
        num_steps: temperatures.
        estimator: its name.
        seed: of all noise.
        warning: in words if the chains did not work well, else "".
        per_example: (N,) nats.
        per_example_ess: (N,) effective sample sizes.
    """

    log_likelihood: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    monte_carlo_error: float = dataclasses.field(metadata={"unit": "nats"})
    effective_sample_size: float
    acceptance: float
    num_examples: int
    num_chains: int
    num_steps: int
    estimator: str
    seed: int
    warning: str
    per_example: np.ndarray
    per_example_ess: np.ndarray


def annealed_importance_sampling(
    vae: Any,
    x: Any,
    *,
    num_chains: int = 16,
    num_steps: int = 500,
    num_leapfrog: int = 10,
    start: str = "prior",
    seed: int = 0,
    positions: Any = None,
) -> AISResult:
    """Estimates log p(x) of each example by annealing from the prior to p(z|x).

        f_t(z) = start(z)^(1 - b_t) (p(z) p(x|z))^b_t,   0 = b_0 < ... < b_T = 1
        log w  = sum_t (b_t - b_{t-1}) (log p(x, z_{t-1}) - log start(z_{t-1}))

    Between temperatures the latents move by Hamiltonian Monte Carlo (`tfp.mcmc`), with
    the step sizes that a pilot chain found for each example and temperature. The
    expectation of the estimate never exceeds log p(x). Started from the prior, it does
    not use the encoder at all, so it shares no weakness with importance sampling. It
    costs `2 * num_chains * num_steps * num_leapfrog` gradients of the decoder per
    example: take a hundred examples, not ten thousand.

    Args:
        vae: a `kvae.VAE` whose latents are in R^D.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        num_chains: chains per example.
        num_steps: T, temperatures; the gap to log p(x) shrinks with T.
        num_leapfrog: leapfrog steps per move.
        start: "prior", or "posterior" to begin at q(z|x), which is faster if the
            encoder is good.
        seed: of all noise.
        positions: (N,) integers that the noise of each example depends on; 0 .. N-1 if
            None.

    Returns:
        result: values, errors, and a warning in words if they can't be trusted.

    Raises:
        ValueError: if the data do not fit the model, an argument is out of range, or the
            latents are on a sphere.

    Source: Neal 2001, "Annealed importance sampling"; Wu, Burda, Salakhutdinov, Grosse
        2017, arXiv:1611.04273.
    """
    inputs = prepare(vae, x)
    places = check_positions(positions, len(inputs.x))
    setting = checked_setting(num_chains, num_steps, num_leapfrog, start, seed)
    prior = vae.prior(None) if inputs.condition is None else {}
    check_latent_space(vae)
    values, sizes, chances = [], [], []
    for i, position in enumerate(places):
        example = {name: array[i : i + 1] for name, array in inputs.to_dict().items()}
        weights, accepted = anneal(vae, example, prior, int(position), setting)
        value, size = importance_estimate(weights)
        values.append(value)
        sizes.append(size)
        chances.append(accepted)
    found, ess = np.array(values), np.array(sizes)
    acceptance = float(np.mean(chances))
    variance = relative_variance(ess, num_chains)
    return AISResult(
        log_likelihood=Estimate.mean_of(found),
        monte_carlo_error=float(np.sqrt(variance.sum()) / len(found)),
        effective_sample_size=float(ess.mean()),
        acceptance=acceptance,
        num_examples=len(found),
        num_chains=num_chains,
        num_steps=num_steps,
        estimator=describe(setting),
        seed=setting.seed,
        warning=annealing_warning(acceptance, ess, num_chains),
        per_example=found,
        per_example_ess=ess,
    )


def checked_setting(
    num_chains: int, num_steps: int, num_leapfrog: int, start: str, seed: int
) -> Annealing:
    """Makes the setting of a run, or raises ValueError with the argument's name."""
    return Annealing(
        check_count("num_chains", num_chains),
        check_count("num_steps", num_steps),
        check_count("num_leapfrog", num_leapfrog),
        start,
        check_seed(seed),
    )


def describe(setting: Annealing) -> str:
    """Names an estimator in words."""
    return (
        f"annealed importance sampling from the {setting.start}, {setting.num_chains} "
        f"chains, {setting.num_steps} temperatures, {setting.num_leapfrog} leapfrog steps"
    )


def annealing_warning(acceptance: float, ess: np.ndarray, num_chains: int) -> str:
    """Says in words what went wrong with the chains, or ""."""
    if not 0.3 < acceptance:
        return (
            f"only {acceptance:.0%} of the moves were accepted: the chains hardly moved. "
            "Raise num_steps, so that the step sizes have time to adapt."
        )
    if num_chains == 1:
        return (
            "one chain per example gives no error of its estimate, which is biased "
            "low. Raise num_chains."
        )
    few = int((ess < 2.0).sum())
    if few:
        return (
            f"in {few} of {len(ess)} examples a single chain holds most of the weight, so "
            "log p(x) is likely underestimated there. Raise num_steps."
        )
    return ""
