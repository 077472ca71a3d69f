"""Measures a run: the test ELBO and its parts, each with estimator and error."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.batches import CompiledFunctions, map_batches
from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.errors import user_errors
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.model import endpoints
from kvae.training.config.config import Config
from kvae.training.data.sources import DataSet
from kvae.training.run.completion import inputs_for_test

_BATCH = 500


def measure(vae: Any, x: Any, num_samples: int = 1, seed: int = 0) -> dict[str, Any]:
    """Estimates the ELBO of a data set and its parts.

    Args:
        vae: a trained `kvae.VAE`.
        x: (N, *data_shape), or a dict with "x" and optionally "condition", "mask".
        num_samples: K, latents per example.
        seed: of the latents.

    Returns:
        metrics: by name a dict of value, standard_error (over examples, None for
            counts), unit, estimator, num_samples and num_examples.

    Raises:
        ValueError: if x does not fit the model.
    """
    check_vae(vae)
    check_count("num_samples", num_samples)
    check_seed(seed)
    inputs = vae.check_inputs(x)
    functions = CompiledFunctions()
    score = functions.get(functools.partial(_score, vae, num_samples))
    key = tf.constant([seed, 0], tf.int32)
    parts = map_batches(score, inputs, _BATCH, key)
    counts = {"num_samples": num_samples, "num_examples": len(inputs.x)}
    sampled = (
        f"mean over {num_samples} latent{'s' if num_samples > 1 else ''} per example"
    )
    rate = "closed form" if vae.objective.exact_rate else sampled
    rows = {
        "elbo": (parts["elbo"], "nats", f"distortion: {sampled}; rate: {rate}"),
        "rate": (parts["rate"], "nats", rate),
        "distortion": (parts["distortion"], "nats", sampled),
    }
    metrics: dict[str, Any] = {
        name: {**_mean(values), "unit": unit, "estimator": how, **counts}
        for name, (values, unit, how) in rows.items()
    }
    metrics["bits_per_dim"] = {
        **_ratio(-parts["elbo"] / math.log(2.0), _entries(inputs, vae.data_shape)),
        "unit": "bits per dimension",
        "estimator": "-elbo / (ln 2 * number of dimensions, observed ones with a mask)",
        **counts,
    }
    variance = parts["mean"].astype("float64").var(axis=0)
    least = 0.01 * vae.prior.unit_variance
    metrics["active_units"] = {
        "value": int((variance > least).sum()),
        "standard_error": None,
        "unit": f"of {parts['mean'].shape[1]} latent dimensions",
        "estimator": f"variance over examples of the posterior mean above {least:.3g}",
        "num_samples": 0,
        "num_examples": len(inputs.x),
    }
    return metrics


def measure_test(
    vae: Any, data: DataSet, config: Config, num_samples: int | None = None
) -> dict[str, Any]:
    """Measures a model on the whole test set of its run, with the noise of seed 0."""
    metrics = measure_part(vae, data, config, "test", num_samples)
    drawn = config.binarize == "dynamic"
    return {
        **metrics,
        "pixels": "binarized once, fixed seed" if drawn else "as they are",
    }


def measure_part(
    vae: Any, data: DataSet, config: Config, part: str, num_samples: int | None = None
) -> dict[str, Any]:
    """Measures a model on a part of its run's data, "test" or "validation"."""
    x = inputs_for_test(data, config, part)
    with user_errors(f"{data.name}, {part} part"):
        return measure(vae, x, num_samples or config.eval_samples)


def _mean(values: np.ndarray) -> dict[str, float | None]:
    values = values.astype("float64")
    count = len(values)
    error = float(values.std(ddof=1) / math.sqrt(count)) if count > 1 else None
    return {"value": float(values.mean()), "standard_error": error}


def _entries(inputs: Inputs, data_shape: tuple[int, ...]) -> np.ndarray:
    """Returns how many entries the ELBO of each example covers."""
    if inputs.mask is None:
        return np.full(len(inputs.x), math.prod(data_shape))
    flat = np.reshape(inputs.mask, (len(inputs.x), -1))
    return np.asarray(np.count_nonzero(flat, axis=1))


def _ratio(parts: np.ndarray, counts: np.ndarray) -> dict[str, float | None]:
    """The ratio of two means, with the standard error of the delta method."""
    mean = max(float(counts.mean()), 1e-12)
    ratio = float(parts.astype("float64").mean()) / mean
    error = _mean(parts.astype("float64") - ratio * counts)["standard_error"]
    return {"value": ratio, "standard_error": None if error is None else error / mean}


def _score(
    vae: Any, num_samples: int, batch: dict[str, Tensor], first: Tensor, key: Tensor
) -> dict[str, Tensor]:
    inputs = Inputs(**batch)
    mean = vae.posterior.mean(vae.posterior_params(inputs))
    scores = endpoints.score(vae, inputs, key, num_samples, first)
    return {**scores, "mean": mean}
