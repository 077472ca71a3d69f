"""All evaluations of one model, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_vae
from kvae.core.inputs import Inputs
from kvae.evaluation.annealed_importance import annealed_importance_sampling
from kvae.evaluation.elbo import elbo
from kvae.evaluation.examples import prepare
from kvae.evaluation.inference_gap import inference_gap
from kvae.evaluation.information import information
from kvae.evaluation.latents import latent_usage, least_examples
from kvae.evaluation.log_likelihood import log_likelihood
from kvae.evaluation.result import Result
from kvae.evaluation.sample_quality import sample_quality

_NAMES = ("log_likelihood", "elbo", "information", "latents", "gaps", "ais", "samples")


def evaluate(
    vae: Any,
    x: Any,
    labels: Any = None,
    *,
    features: Any = None,
    num_samples: int = 5000,
    num_hard: int = 100,
    only: tuple[str, ...] | None = None,
    seed: int = 0,
) -> dict[str, Result]:
    """Runs every evaluation that suits the model and the data.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape) test examples, or a dict with "x" and optionally "condition"
            and "mask".
        labels: (N,) integers, for the default feature classifier of "samples".
        features: a Keras model or "pixels", for "samples".
        num_samples: K of the log-likelihood.
        num_hard: how many examples the slow evaluations ("gaps", "ais") use, from the
            first one.
        only: some of "log_likelihood", "elbo", "information", "latents", "gaps", "ais",
            "samples"; if None, all that suit except "ais".
        seed: of all noise.

    Returns:
        results: by name. Without `only`, "information" is left out if the prior is
            conditional or the posterior has levels of maps, "latents" if there are
            fewer than 20 examples or fewer than two per latent, and "samples" with a
            condition, masks, fewer than 40 examples, or neither `labels` nor
            `features`.

    Raises:
        ValueError: if the data do not fit or a name is unknown.
    """
    inputs = prepare(vae, x)
    num_hard = min(check_count("num_hard", num_hard), len(inputs.x))
    if isinstance(only, str):
        only = (only,)
    if only is not None and not isinstance(only, (tuple, list)):
        raise TypeError(f"only must be a tuple of names; received {only!r}.")
    if only is not None and (unknown := [name for name in only if name not in _NAMES]):
        raise ValueError(
            f"unknown evaluation {unknown[0]!r}; choose from {', '.join(_NAMES)}."
        )
    if only is None:
        only = suitable(vae, inputs, labels, features)
    few = Inputs(**{k: np.asarray(v)[:num_hard] for k, v in inputs.to_dict().items()})
    runs: dict[str, Callable[[], Result]] = {
        "log_likelihood": lambda: log_likelihood(vae, inputs, num_samples, seed),
        "elbo": lambda: elbo(vae, inputs, seed=seed),
        "information": lambda: information(vae, inputs, seed=seed),
        "latents": lambda: latent_usage(vae, inputs, seed=seed),
        "gaps": lambda: inference_gap(vae, few, seed=seed),
        "ais": lambda: annealed_importance_sampling(vae, few, seed=seed),
        "samples": lambda: sample_quality(vae, inputs, labels, features, seed=seed),
    }
    return {name: runs[name]() for name in only}


def suitable(
    vae: Any, inputs: Inputs, labels: Any = None, features: Any = None
) -> tuple[str, ...]:
    """Names the evaluations that suit the model and the data, without the slow "ais".

    Args:
        vae: a `kvae.VAE`.
        inputs: test examples.
        labels: as of `evaluate`.
        features: as of `evaluate`.

    Returns:
        names: as `evaluate` runs them if `only` is None.
    """
    check_vae(vae)
    inputs = prepare(vae, inputs)
    plain = inputs.condition is None
    suits = {
        "information": (plain or not vae.prior.conditional)
        and len(inputs.x) >= 2
        and vae.posterior.cheap_pairs,
        "samples": plain
        and inputs.mask is None
        and len(inputs.x) >= 40
        and (labels is not None or features is not None),
        "latents": len(inputs.x) >= least_examples(vae),
        "ais": False,
    }
    return tuple(name for name in _NAMES if suits.get(name, True))
