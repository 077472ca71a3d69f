"""Single and multiple imputation of missing entries."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.completion import (
    candidates,
    check_possible,
    fill_hidden,
    map_candidates,
    masked_inputs,
    pick,
    resample,
)
from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.evaluation.result import Result
from kvae.masks import nan_as_missing as read_nan
from kvae.noise import Noise

_CHOICE_TAG = 1
_FEW = 10.0  # effective samples below which an imputation can't be trusted


@dataclasses.dataclass(frozen=True)
class ImputationResult(Result):
    """Missing entries filled in; observed entries are those given.

    Attributes:
        missing: share of the entries that were missing.
        effective_sample_size: mean over examples, from 1 to `num_samples`.
        smallest_effective_sample_size: the smallest over examples.
        num_examples: N.
        num_samples: K, latents per example.
        num_imputations: M.
        seed: of the latents.
        warning: in words if few latents count, else "".
        single: (N, *data_shape), each missing entry at its estimated mean given the
            observed entries, which has the least squared error.
        multiple: (N, M, *data_shape) draws given the observed entries, or None if M is
            0. Use these if the spread matters, because statistics of single imputations
            look more certain than the data allow.
        per_example_ess: (N,) effective sample sizes.
    """

    missing: float
    effective_sample_size: float
    smallest_effective_sample_size: float
    num_examples: int
    num_samples: int
    num_imputations: int
    seed: int
    warning: str
    single: np.ndarray
    multiple: np.ndarray | None
    per_example_ess: np.ndarray


def impute(
    vae: Any,
    x: Any,
    mask: Any = None,
    *,
    num_samples: int = 1000,
    num_imputations: int = 0,
    seed: int = 0,
    nan_as_missing: bool = False,
    batch_size: int = 512,
) -> ImputationResult:
    """Fills in missing entries, once by their mean or several times by draws.

        single    sum_k w_k E[x_missing | z_k],  w_k ~ p(x_observed|z_k) p(z_k) / r(z_k)
        multiple  z drawn among z_1 .. z_K with probabilities w, then x from p(x|z)

    The weights add up to 1; the proposal r is a mixture of q(z | observed) and of the
    prior. The mean of a categorical column is a mean of level numbers, so use the draws
    instead. A row without any observed entry is filled in from p(x).

    Args:
        vae: a `kvae.VAE`, of images or of a table.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        mask: in the shape of x, 1 where observed; None takes the one that x carries.
        num_samples: K, latents per example.
        num_imputations: M, draws per example.
        seed: of latents and draws.
        nan_as_missing: read NaN in x as missing, instead of a mask.
        batch_size: examples per pass, at most; does not change `single`.

    Returns:
        result: the filled arrays.

    Raises:
        ValueError: if the data or the mask do not fit the model, or an argument is out of
            range.

    Source: Mattei, Frellsen 2019, arXiv:1812.02633.
    """
    check_vae(vae)
    num_samples = check_count("num_samples", num_samples)
    num_imputations = check_count("num_imputations", num_imputations, least=0)
    check_seed(seed)
    if nan_as_missing:
        inputs = vae.read_inputs(x)
        if mask is not None or inputs.mask is not None:
            raise ValueError(
                "nan_as_missing=True makes the mask from x itself; received a mask "
                "too. Leave out one of them."
            )
        x = dataclasses.replace(inputs, **read_nan(inputs.x))
    inputs = masked_inputs(vae, x, mask, seed, allow_empty=True)
    drawn = map_candidates(
        vae,
        _imputations,
        inputs,
        num_samples,
        seed,
        batch_size,
        rows=max(num_samples, num_imputations),
        num=num_imputations,
    )
    check_possible(drawn["single"])
    known = np.asarray(inputs.mask, bool)
    sizes = drawn["ess"].astype("float64")
    multiple = None
    if num_imputations:
        multiple = np.where(known[:, None], inputs.x[:, None], drawn["multiple"])
    return ImputationResult(
        missing=float(1.0 - known.mean()),
        effective_sample_size=float(sizes.mean()),
        smallest_effective_sample_size=float(sizes.min()),
        num_examples=len(inputs.x),
        num_samples=num_samples,
        num_imputations=num_imputations,
        seed=int(seed),
        warning=_warning(sizes, num_samples),
        single=np.where(known, inputs.x, drawn["single"]),
        multiple=multiple,
        per_example_ess=sizes,
    )


def _imputations(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    num_candidates: int,
    num: int,
) -> dict[str, Tensor]:
    noise = Noise(key, first)
    found = candidates(model, Inputs(**batch), noise, num_candidates)
    means = fill_hidden(model, found.likelihood, None)
    weights = tf.exp(found.log_weights)
    single = tf.einsum("kb,kb...->b...", weights, means)
    outputs = {"single": single, "ess": found.effective_sample_size}
    if num:
        index = resample(found.log_weights, noise.fold(_CHOICE_TAG), num)
        z = pick(found.z, index)
        params = model.likelihood_params(z, found.condition)
        x = fill_hidden(model, params, tf.stack([key[0], first + 1]))
        outputs["multiple"] = tf.transpose(x, [1, 0, *range(2, len(x.shape))])
    return outputs


def _warning(sizes: np.ndarray, num_samples: int) -> str:
    least = min(_FEW, 0.5 * num_samples)
    few = int((sizes < least).sum())
    if few == 0:
        return ""
    return (
        f"fewer than {least:g} of {num_samples} latents count for {few} of {len(sizes)} "
        "examples, so their imputations rest on few guesses. Raise num_samples, or train "
        "with masks."
    )
