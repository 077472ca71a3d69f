"""How probable the hidden part is, given the visible one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.completion import candidates, map_candidates, masked_inputs
from kvae.evaluation.examples import check_count, check_seed
from kvae.evaluation.log_likelihood import log_likelihood
from kvae.evaluation.result import Estimate, Result
from kvae.inputs import Inputs
from kvae.masks import given_visible
from kvae.noise import Noise
from kvae.objectives import is_completing
from kvae.types import Tensor


@dataclasses.dataclass(frozen=True)
class ConditionalLikelihoodResult(Result):
    """How probable a model finds what was hidden from it.

    Attributes:
        log_likelihood: of the hidden entries given the visible ones, mean over examples;
            its error is std / sqrt(N).
        monte_carlo_error: standard error of that mean from the finite number of latents.
        hidden: entries hidden per example, on average.
        effective_sample_size: the least over examples and over what was estimated.
        num_examples: N.
        num_samples: K, latents per example.
        estimator: its name, and on which side it errs.
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
    vae: Any, x: Any, mask: Any, num_samples: int = 1000, seed: int = 0
) -> ConditionalLikelihoodResult:
    """Estimates log p(x_hidden | x_visible) by importance sampling.

    For a model trained with `objectives.Completion` it is one estimate with latents from
    q(z | x), which does not exceed the truth in expectation. For any other model it is
    log p(x) - log p(x_visible), two estimates that both err downwards: where the visible
    part is hard to infer, the difference can come out too high. The effective sample size
    says how far to trust it.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape), complete.
        mask: in the shape of x, 1 where visible; or a `kvae.masks` family or its name.
        num_samples: K, latents per example.
        seed: of latents, and of a mask drawn from a family.

    Returns:
        result: values and errors.

    Raises:
        ValueError: if the data or the mask do not fit the model.
    """
    num_samples = check_count("num_samples", num_samples)
    seed = check_seed(seed)
    full = np.asarray(x)
    mask = masked_inputs(vae, full, mask, seed, allow_empty=True).mask
    if is_completing(vae):
        given = given_visible(full, mask)
        found = log_likelihood(vae, given, num_samples, seed)
        values, sizes = found.per_example, found.per_example_ess
        variance = 1.0 / sizes - 1.0 / num_samples
        estimator = "importance sampling from q(z | x); errs downwards"
    else:
        found = log_likelihood(vae, full, num_samples, seed)
        masked = masked_inputs(vae, full, mask, seed, allow_empty=True)
        part = map_candidates(
            vae, _log_visible, masked, num_samples, seed, 512, rows=num_samples
        )
        values = found.per_example - part["log_visible"]
        sizes = np.minimum(found.per_example_ess, part["ess"])
        variance = 1.0 / found.per_example_ess + 1.0 / part["ess"] - 2.0 / num_samples
        estimator = "log p(x) - log p(visible), importance sampling; errs either way"
    return ConditionalLikelihoodResult(
        log_likelihood=Estimate.mean_of(values),
        monte_carlo_error=float(np.sqrt(np.maximum(variance, 0.0).sum()) / len(values)),
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
    # Other latents than those of log p(x): the errors of the two are independent.
    noise = Noise(key, first).fold(3)
    found = candidates(model, Inputs(**batch), noise, num_candidates)
    return {"log_visible": found.log_visible, "ess": found.effective_sample_size}
