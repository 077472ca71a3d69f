"""The inputs of completions, checked and split into batches that fit into memory."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.batches import map_batches
from kvae.core.checks import check_count, check_seed, check_vae
from kvae.core.inputs import Inputs, check_mask
from kvae.masks import as_family
from kvae.objectives import is_completing

_ENTRIES = 1 << 22  # of one parameter at once, which bounds the memory of a batch


def masked_inputs(
    vae: Any, x: Any, mask: Any, seed: int = 0, allow_empty: bool = False
) -> Inputs:
    """Checks data and mask before any graph is built.

    Args:
        vae: a `kvae.VAE`.
        x: as for `complete`.
        mask: as for `complete`. Entries hidden by the mask in x stay hidden. None uses
            only the mask in x.
        seed: of a mask drawn from a family.
        allow_empty: accept examples without a visible entry.

    Returns:
        inputs: numpy arrays, all with a mask.

    Raises:
        ValueError: if x or the mask don't fit, or an example has no visible entry.
    """
    check_vae(vae)
    inputs = vae.read_inputs(x)
    check_seed(seed)
    if mask is None:
        mask = inputs.mask
    if mask is None:
        raise ValueError(
            "a mask is missing: pass mask=, in the shape of x with 1 where an entry is "
            'visible, or the name of a family such as "left_half". '
            "kvae.masks.nan_as_missing makes a mask from NaN."
        )
    if hasattr(mask, "__array__") or isinstance(mask, (list, tuple)):
        mask = np.asarray(mask)
    else:
        drawn = as_family(mask).draw(len(inputs.x), vae.data_shape, seed)
        mask = drawn.numpy()
    if inputs.mask is not None and mask is not inputs.mask:
        check_mask(np.asarray(inputs.mask), np.shape(inputs.x))
        check_mask(mask, np.shape(inputs.x))
        mask = mask.astype(bool) & np.asarray(inputs.mask).astype(bool)
    inputs = dataclasses.replace(inputs, mask=mask)
    if is_completing(vae) and inputs.condition is not None:
        raise ValueError(
            "a model trained with objectives.Completion makes its condition from the "
            "visible part; pass x and mask without a condition."
        )
    inputs = vae.check_inputs(inputs)
    seen = inputs.mask.reshape(len(inputs.x), -1).any(axis=1)
    if not allow_empty and not seen.all():
        raise ValueError(
            f"{int((~seen).sum())} examples have no visible entry, so there is nothing to "
            f"complete; the first is example {int(np.argmin(seen))}. Remove them, or draw "
            "new ones with vae.sample(num)."
        )
    # Whatever the hidden entries hold, the model computes with a value in the support.
    known = inputs.mask.astype(bool)
    filled = np.where(known, inputs.x, np.asarray(vae.likelihood.filler))
    inputs = dataclasses.replace(
        inputs,
        x=filled.astype(inputs.x.dtype, copy=False),
        mask=known.astype("float32"),
    )
    if not is_completing(vae):
        vae.build_for(inputs)
    return inputs


def map_candidates(
    vae: Any,
    function: Any,
    inputs: Inputs,
    num_candidates: int,
    seed: int,
    batch_size: int,
    rows: int,
    **options: Any,
) -> Any:
    """Runs a function of a batch's candidates over arrays, in batches that fit."""
    batch_size = check_count("batch_size", batch_size)
    fits = max(1, _ENTRIES // (_width(vae, inputs) * rows))
    bound = functools.partial(function, num_candidates=int(num_candidates), **options)
    key = tf.constant([seed, 0], tf.int32)
    return map_batches(vae._compiled(bound), inputs, min(batch_size, fits), key)


def _width(vae: Any, inputs: Inputs) -> int:
    """Entries of an example, or of its largest parameter: a level has one for each."""
    width = math.prod(vae.data_shape)
    if is_completing(vae):
        return width
    condition = None if inputs.condition is None else inputs.condition[:1]
    z = tf.zeros((1, vae.latent_dim), vae.maths_dtype)
    params = vae.likelihood_params(z, condition)
    return max([width, *(math.prod(value.shape[1:]) for value in params.values())])


def check_possible(log_weights: np.ndarray) -> None:
    """Raises if the model gives some visible part probability 0."""
    bad = ~np.isfinite(log_weights.reshape(len(log_weights), -1)).all(axis=1)
    if bad.any():
        raise ValueError(
            f"the model gives the visible part of {int(bad.sum())} examples probability 0 "
            f"at every drawn latent, or its outputs are NaN; the first is example "
            f"{int(np.argmax(bad))}. Are they the kind of data it was trained on?"
        )
