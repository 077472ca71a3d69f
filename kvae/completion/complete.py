"""Draws the hidden part of examples, given the visible part."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.completion.candidates import candidates, fill_hidden, pick, resample
from kvae.completion.inputs import check_possible, map_candidates, masked_inputs
from kvae.core.checks import check_count, check_together
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.noise import Noise
from kvae.objectives import is_completing

_LOG = logging.getLogger("kvae")
_FEW = 2.0  # an effective sample size below which completions come from one latent
_CHOICE_TAG = 1  # folded into the noise, for draws other than the candidates


@dataclasses.dataclass(frozen=True)
class Completions:
    """Several completions of each example.

    Attributes:
        x: (N, num, *data_shape) completions. Their visible entries are those of the input.
        log_weights: (N, num) nats, log of the normalized importance weight of the latent
            behind each completion, or log(1 / num) if no weighting is needed. The
            completions were drawn with these weights, so don't weight them again.
        effective_sample_size: (N,) how many candidates had any weight, from 1 to their
            number. Near 1, all completions come from one latent, and more candidates
            help.
    """

    x: np.ndarray
    log_weights: np.ndarray
    effective_sample_size: np.ndarray


def complete(
    vae: Any,
    x: Any,
    mask: Any = None,
    num: int = 8,
    seed: int = 0,
    num_candidates: int = 256,
    mean: bool = True,
    diverse: bool = False,
    batch_size: int = 512,
) -> Completions:
    """Draws the hidden part given the visible part. Visible entries don't change.

    A model trained with `objectives.Completion` draws z from its p(z | visible). For any
    other model, latents are drawn from r, a mixture of q(z | visible) and the prior, and
    resampled by importance,

        w_k = p(x_visible | z_k) p(z_k) / r(z_k | x_visible),  k = 1 .. num_candidates

    which gives draws from p(z | visible) as the number of candidates grows. Then x_hidden
    comes from p(x | z).

    Args:
        vae: a `kvae.VAE`, trained on complete data or with masks.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
            Hidden entries may have any value, even NaN.
        mask: in the shape of x, 1 or True where visible; or a `kvae.masks` family or its
            name, such as "left_half", from which a mask is drawn for each example.
            Entries hidden by a mask in x stay hidden.
        num: completions of each example.
        seed: of masks and draws.
        num_candidates: latents among which to choose. A model trained with
            `objectives.Completion` doesn't use it.
        mean: use the mean of p(x|z) for hidden entries, the usual picture, instead of a
            draw.
        diverse: order the completions of each example so that each is the farthest from
            those before it. The first few then show the most variety.
        batch_size: the maximum number of examples per pass. It does not change the result
            if `mean`.

    Returns:
        completions: with the weights behind them.

    Raises:
        ValueError: if the data or the mask don't fit the model, an example has no
            visible entry, or the model gives a visible part probability 0.
    """
    num = check_count("num", num)
    num_candidates = check_count("num_candidates", num_candidates)
    inputs = masked_inputs(vae, x, mask, seed)
    rows = max(num, 1 if is_completing(vae) else num_candidates)
    entries = math.prod(vae.data_shape)
    check_together("num", num, len(inputs.x) * entries, "Draw fewer at a time.")
    check_together("num_candidates", rows, entries, "Draw fewer.")
    drawn = map_candidates(
        vae, _completions, inputs, num_candidates, seed, batch_size, rows=rows,
        num=num, mean=bool(mean),
    )  # fmt: skip
    check_possible(drawn["log_weights"])
    visible = np.asarray(inputs.mask, bool)[:, None]
    if num > 1 and not is_completing(vae):
        _warn_of_one_latent(drawn["ess"], visible, num_candidates)
    completed = np.where(visible, inputs.x[:, None], drawn["x"])
    log_weights = drawn["log_weights"]
    if diverse:
        order = np.stack([farthest_first(draws) for draws in completed])
        each = np.arange(len(order))[:, None]
        completed, log_weights = completed[each, order], log_weights[each, order]
    return Completions(completed, log_weights, drawn["ess"])


def _warn_of_one_latent(
    sizes: np.ndarray, visible: np.ndarray, num_candidates: int
) -> None:
    """Warns if the completions of most examples come from a single latent each."""
    partial = ~visible.reshape(len(visible), -1).all(axis=1)
    alike = int((sizes[partial] < _FEW).sum())
    if 2 * alike > partial.sum():
        _LOG.warning(
            "complete: for %d of %d examples, all completions come from about one latent "
            "(effective sample size below %g), so they vary too little. Pass "
            "num_candidates=%d, or train a model to complete: "
            "kvae.presets.completing_vae.",
            alike,
            int(partial.sum()),
            _FEW,
            4 * num_candidates,
        )


def farthest_first(points: np.ndarray) -> np.ndarray:
    """Orders points so that each is the farthest from all before it, from the first on.

    Args:
        points: (num, ...).

    Returns:
        order: (num,) a permutation.
    """
    flat = points.reshape(len(points), -1).astype("float64")
    order = [0]
    gap = np.square(flat - flat[0]).sum(axis=1)
    while len(order) < len(flat):
        gap[order] = -1.0
        order.append(int(np.argmax(gap)))
        gap = np.minimum(gap, np.square(flat - flat[order[-1]]).sum(axis=1))
    return np.array(order)


def _completions(
    model: Any,
    batch: dict[str, Tensor],
    first: Tensor,
    key: Tensor,
    num_candidates: int,
    num: int,
    mean: bool,
) -> dict[str, Tensor]:
    """Completes one batch, in the form that map_batches calls."""
    inputs, noise = Inputs(**batch), Noise(key, first)
    if is_completing(model):
        found = candidates(model, inputs, noise, num)
        weights, params = found.log_weights, found.likelihood
    else:
        found = candidates(model, inputs, noise, num_candidates)
        index = resample(found.log_weights, noise.fold(_CHOICE_TAG), num)
        weights = pick(found.log_weights, index)
        # Decoded again, because picking among the parameters would move more numbers.
        z = pick(found.z, index)
        params = model.likelihood_params(z, found.condition)
    seed = None if mean else tf.stack([key[0], first + 1])
    x = fill_hidden(model, params, seed)
    return {
        "x": tf.transpose(x, [1, 0, *range(2, len(x.shape))]),
        "log_weights": tf.transpose(weights),
        "ess": found.effective_sample_size,
    }
