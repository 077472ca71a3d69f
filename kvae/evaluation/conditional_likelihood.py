"""How probable the hidden part of examples is, given the visible part."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.completion import candidates, map_candidates, masked_inputs
from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.evaluation.log_likelihood import log_likelihood, relative_variance
from kvae.evaluation.result import Estimate, Result
from kvae.masks import given_visible
from kvae.noise import Noise
from kvae.objectives import is_completing


@dataclasses.dataclass(frozen=True)
class ConditionalLikelihoodResult(Result):
    """How probable a model finds the entries that were hidden from it.

    Attributes:
        log_likelihood: of the hidden entries given the visible ones, mean over examples;
            its error is std / sqrt(N).
        monte_carlo_error: standard error of that mean from the finite number of latents;
            NaN with one latent.
        hidden: mean number of hidden entries per example.
        effective_sample_size: the smallest over examples and estimates.
        num_examples: N.
        num_samples: K, latents per example.
        estimator: its name, and the sign of its bias.
        seed: of the latents.
        per_example: (N,) nats.
    """

    log_likelihood: Estimate = dataclasses.field(metadata={"unit": "nats per example"})
    monte_carlo_error: float = dataclasses.field(metadata={"unit": "nats"})
    hidden: float
    effective_sample_size: float
    num_examples: int
    num_samples: int
    estimator: str
    seed: int
    per_example: np.ndarray


def conditional_log_likelihood(
    vae: Any,
    x: Any,
    mask: Any,
    num_samples: int = 1000,
    seed: int = 0,
    *,
    candidates_only: bool = False,
) -> ConditionalLikelihoodResult:
    """Estimates log p(x_hidden | x_visible) by importance sampling.

    For a model trained with `objectives.Completion`, it is one estimate with latents
    from q(z | x), which does not exceed the truth in expectation. For any other model,
    it is log p(x) - log p(x_visible), two estimates that are both biased low. If the
    visible part is hard to infer, as it is for an encoder that never saw a masked
    example, the difference can come out too high by tens of nats. The effective sample
    size says how far to trust it.

    With `candidates_only` it is the log-density of what `complete` predicts from K
    candidates that were drawn without the hidden part:

        log sum_k w_k p(x_hidden | z_k, x_visible),  w_k ~ p(x_visible|z_k) p(z_k) / r(z_k)

    This is a density, so it is never too good. It is far below log p(x_hidden |
    x_visible) if K candidates are too few to hit the hidden entries.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), complete.
        mask: in the shape of x, 1 where visible; or a `kvae.masks` family or its name.
        num_samples: K, latents per example.
        seed: of latents, and of a mask drawn from a family.
        candidates_only: score K candidates, as above, whatever the model.

    Returns:
        result: values and errors.

    Raises:
        ValueError: if the data or the mask do not fit the model.
    """
    num_samples = check_count("num_samples", num_samples)
    seed = check_seed(seed)
    check_vae(vae)
    full = np.asarray(x)
    mask = masked_inputs(vae, full, mask, seed, allow_empty=True).mask
    if candidates_only:
        values, sizes, variance = _of_candidates(vae, full, mask, num_samples, seed)
        estimator = "candidates given the visible part; biased low"
    elif is_completing(vae):
        given = given_visible(full, mask)
        found = log_likelihood(vae, given, num_samples, seed)
        values, sizes = found.per_example, found.per_example_ess
        variance = relative_variance(sizes, num_samples)
        estimator = "importance sampling from q(z | x); biased low"
    else:
        found = log_likelihood(vae, full, num_samples, seed)
        masked = masked_inputs(vae, full, mask, seed, allow_empty=True)
        part = map_candidates(
            vae, _log_visible, masked, num_samples, seed, 512, rows=num_samples
        )
        values = found.per_example - part["log_visible"]
        sizes = np.minimum(found.per_example_ess, part["ess"])
        variance = relative_variance(found.per_example_ess, num_samples)
        variance += relative_variance(part["ess"], num_samples)
        estimator = (
            "log p(x) - log p(visible), importance sampling; may be biased either way"
        )
    return ConditionalLikelihoodResult(
        log_likelihood=Estimate.mean_of(values),
        monte_carlo_error=float(np.sqrt(variance.sum()) / len(values)),
        hidden=float((1.0 - mask).sum() / len(mask)),
        effective_sample_size=float(sizes.min()),
        num_examples=len(values),
        num_samples=num_samples,
        estimator=f"{estimator}, {num_samples} samples",
        seed=seed,
        per_example=values,
    )


def _log_visible(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    num_candidates: int,
) -> dict[str, Tensor]:
    # Not the latents of log p(x), so the errors of the two are independent.
    noise = Noise(key, first).fold(3)
    found = candidates(model, Inputs(**batch), noise, num_candidates)
    return {"log_visible": found.log_visible, "ess": found.effective_sample_size}


def _of_candidates(
    vae: Any, x: np.ndarray, mask: np.ndarray, num_samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-density, least effective sample size and variance of each example."""
    vae.check_inputs(x)
    masked = masked_inputs(vae, x, mask, seed, allow_empty=True)
    whole = Inputs(np.asarray(x, masked.x.dtype), masked.condition, masked.mask)
    found = map_candidates(
        vae, _log_hidden, whole, num_samples, seed, 512, rows=num_samples
    )
    # Of a ratio of two means over the same latents; their covariance is ignored.
    sizes = [found["visible"], found["both"]]
    variance = np.sum([relative_variance(s, num_samples) for s in sizes], axis=0)
    return found["log_hidden"], np.minimum(*sizes), variance


def _log_hidden(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    num_candidates: int,
) -> dict[str, Tensor]:
    inputs = Inputs(**batch)
    found = candidates(model, inputs, Noise(key, first), num_candidates)
    log_prob = functools.partial(model.likelihood.log_prob, found.likelihood, inputs.x)
    # Given the visible entries too: those of one pixel may depend on one another.
    terms = found.log_weights + log_prob() - log_prob(inputs.mask)
    total = tf.reduce_logsumexp(terms, axis=0)
    size = tf.exp(-tf.reduce_logsumexp(2.0 * (terms - total), axis=0))
    sizes = {"visible": found.effective_sample_size, "both": size}
    return {"log_hidden": total, **sizes}
