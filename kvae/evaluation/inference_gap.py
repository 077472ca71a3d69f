"""Why the bound is loose: the gap of the encoder and the gap of the family."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count, check_seed, is_number
from kvae.core.inputs import Inputs
from kvae.core.types import Params, Tensor
from kvae.evaluation.examples import (
    check_positions,
    compiled,
    exact_rate,
    has_exact_rate,
    prepare,
    within,
)
from kvae.evaluation.local_posterior import climb, free_values, place_values
from kvae.evaluation.log_likelihood import degenerate_warning, importance_estimate
from kvae.evaluation.result import Estimate, Result
from kvae.noise import Noise

_FIT, _TEST = 0xF17, 0x7E57  # tags of the random streams


@dataclasses.dataclass(frozen=True)
class InferenceGapResult(Result):
    """log p(x) - ELBO, split.

    log p(x) - ELBO = approximation gap + amortization gap, each an average over examples
    with its standard error; the errors are paired, so they are smaller than those of the
    bounds themselves.

    Attributes:
        log_likelihood: log p(x), by importance sampling from the optimized q, or what the
            caller gave.
        optimized_elbo: the bound with q optimized for each example.
        elbo: the bound with the encoder's q.
        approximation_gap: log p(x) - optimized_elbo, the part due to the family. It is
            the "error term" of tutorials, KL(q || p(z|x)), for the best q of the
            family.
        amortization_gap: optimized_elbo - elbo, the loss of the encoder against fitting
            q to each example.
        total_gap: log p(x) - elbo.
        approximation_share: approximation_gap / total_gap.
        num_examples: N.
        num_steps: optimization steps per example.
        num_samples: latents that the bounds were measured with.
        still_rising: nats per example that the second half of the optimization gained,
            measured like the bounds; near 0 once q has settled.
        estimator: how log p(x) was found.
        seed: of all noise.
        warning: in words, or "".
        per_example_log_likelihood: (N,) nats.
        per_example_optimized_elbo: (N,) nats.
        per_example_elbo: (N,) nats.
    """

    log_likelihood: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    optimized_elbo: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    elbo: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    approximation_gap: Estimate = dataclasses.field(metadata={"unit": "nats"})
    amortization_gap: Estimate = dataclasses.field(metadata={"unit": "nats"})
    total_gap: Estimate = dataclasses.field(metadata={"unit": "nats"})
    approximation_share: float
    num_examples: int
    num_steps: int
    num_samples: int
    still_rising: float = dataclasses.field(metadata={"unit": "nats"})
    estimator: str
    seed: int
    warning: str
    per_example_log_likelihood: np.ndarray
    per_example_optimized_elbo: np.ndarray
    per_example_elbo: np.ndarray


def inference_gap(
    vae: Any,
    x: Any,
    num_steps: int = 500,
    *,
    learning_rate: float = 0.05,
    num_fit_samples: int = 8,
    num_samples: int = 1000,
    log_likelihood: Any = None,
    seed: int = 0,
    positions: Any = None,
    seconds: float | None = None,
) -> InferenceGapResult:
    """Splits log p(x) - ELBO into a gap of q's family and a gap of the encoder.

        approximation gap = log p(x) - max_q ELBO(q)      over q of the posterior's family
        amortization gap  = max_q ELBO(q) - ELBO(q(z|x))

    For each example the parameters of q are optimized with Adam from the encoder's, under
    fresh noise at every step; all bounds are then measured on noise that the optimization
    has not seen. It takes about `3 * num_steps * num_fit_samples` decoder passes per
    example: a few hundred examples say enough.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        num_steps: Adam steps per example.
        learning_rate: at the start; it falls to 0 along a half cosine.
        num_fit_samples: latents per step.
        num_samples: latents that bounds and log p(x) are measured with.
        log_likelihood: (N,) log p(x) from elsewhere, for example
            `annealed_importance_sampling(...).per_example`; by importance sampling from
            the optimized q if None.
        seed: of all noise.
        positions: (N,) integers that the noise of each example depends on; 0 .. N-1 if
            None.
        seconds: after so long no further example is begun; the result is that of the
            first ones, at least two. None takes all.

    Returns:
        result: both gaps in nats with paired errors.

    Raises:
        ValueError: if the data do not fit the model, an argument is out of range, or the
            posterior's parameters cannot be optimized freely.

    Source: Cremer, Li, Duvenaud 2018, arXiv:1801.03558.
    """
    inputs = prepare(vae, x)
    places = check_positions(positions, len(inputs.x))
    num_steps = check_count("num_steps", num_steps, 10)
    num_samples = check_count("num_samples", num_samples, 2)
    if not (is_number(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate must be positive; received {learning_rate!r}.")
    options: dict[str, Any] = {
        "exact": has_exact_rate(vae, inputs),
        "steps": num_steps,
        "fit_samples": check_count("num_fit_samples", num_fit_samples),
        "samples": num_samples,
        "rate": float(learning_rate),
    }
    fit = compiled(vae, functools.partial(_fit, vae, **options))
    seed = check_seed(seed)
    prior = vae.prior(None) if inputs.condition is None else {}
    columns: list[tuple[float, float, float, float, float]] = []
    for i, place in within(enumerate(places), seconds):
        example = {k: tf.constant(v[i : i + 1]) for k, v in inputs.to_dict().items()}
        amortized, optimized, weights, gain = fit(
            example, prior, tf.constant([seed, 0]), tf.constant(place, tf.int32)
        )
        likelihood, size = importance_estimate(weights.numpy().astype("float64"))
        bounds = float(amortized), float(optimized)
        columns.append((*bounds, likelihood, size, float(gain)))
    amortized, optimized, likelihoods, sizes, gains = np.array(columns).T
    num = len(columns)
    how = f"importance sampling from the optimized q, {num_samples} samples"
    warning = degenerate_warning(likelihoods, sizes, num_samples)
    if log_likelihood is not None:
        likelihoods = np.asarray(log_likelihood, "float64")
        how, warning = "given by the caller", ""
        if likelihoods.shape != (len(places),):
            raise ValueError(
                f"log_likelihood must hold one value per example, shape ({len(places)},); "
                f"received {likelihoods.shape}."
            )
        likelihoods = likelihoods[:num]
    approximation = Estimate.mean_of(likelihoods - optimized)
    amortization = Estimate.mean_of(optimized - amortized)
    total = Estimate.mean_of(likelihoods - amortized)
    rising = float(gains.mean())
    if rising > max(0.05, 0.02 * amortization.value):
        warning += (
            f"{' Also, ' if warning else ''}the second half of the optimization still "
            f"gained {rising:.2g} nats: the amortization gap is likely larger and the "
            "approximation gap smaller than reported. Raise num_steps."
        )
    return InferenceGapResult(
        log_likelihood=Estimate.mean_of(likelihoods),
        optimized_elbo=Estimate.mean_of(optimized),
        elbo=Estimate.mean_of(amortized),
        approximation_gap=approximation,
        amortization_gap=amortization,
        total_gap=total,
        approximation_share=approximation.value / total.value if total.value else 0.0,
        num_examples=num,
        num_steps=num_steps,
        num_samples=num_samples,
        still_rising=rising,
        estimator=how,
        seed=seed,
        warning=warning,
        per_example_log_likelihood=likelihoods,
        per_example_optimized_elbo=optimized,
        per_example_elbo=amortized,
    )


def _fit(
    vae: Any,
    example: dict[str, Tensor],
    prior: Params,
    key: Tensor,
    position: Tensor,
    exact: bool,
    steps: int,
    fit_samples: int,
    samples: int,
    rate: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs = Inputs(**example)
    prior = prior or vae.prior(inputs.condition)
    amortized = vae.posterior_params(inputs)
    start = free_values(amortized)
    fit_noise = Noise(key + [0, _FIT], position)
    dim, dtype = vae.posterior.noise_dim, vae.maths_dtype

    def terms(params: Params, noise: Tensor) -> tuple[Tensor, Tensor]:
        # ELBO, and log weights (K,), at the same latents
        z, log_posterior = vae.posterior.sample_and_log_prob(params, noise)
        draw = vae.weigh(inputs, params, z, log_posterior, prior=prior)
        if exact:
            kl = exact_rate(vae, params, prior)[0]
            return tf.reduce_mean(draw.log_likelihood) - kl, draw.log_weights[:, 0]
        return tf.reduce_mean(draw.log_weights), draw.log_weights[:, 0]

    def bound(values: list[Tensor], i: Tensor) -> Tensor:
        place = dataclasses.replace(fit_noise, first_sample=i * fit_samples)
        noise = place.normal(fit_samples, 1, dim, dtype)
        return terms(place_values(values, amortized, vae.latent_dim), noise)[0]

    best, late = climb(bound, start, steps, rate)
    noise = Noise(key + [0, _TEST], position).normal(samples, 1, dim, dtype)
    final, log_weights = terms(place_values(best, amortized, vae.latent_dim), noise)
    before = terms(place_values(late, amortized, vae.latent_dim), noise)[0]
    return terms(amortized, noise)[0], final, log_weights, final - before
