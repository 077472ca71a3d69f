"""The checks of arguments that all disentanglement scores share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def check_factors(
    latents: Any, factors: Any, categorical: Sequence[bool] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[bool, ...]]:
    """Reads a representation and the factors behind it.

    Args:
        latents: (N, D) numbers.
        factors: (N, F) integer levels.
        categorical: per factor, whether its levels have no order; none if None.

    Returns:
        latents: (N, D) float64.
        factors: (N, F), levels numbered 0, 1, ...
        categorical: F booleans.

    Raises:
        ValueError: if the shapes do not fit or a factor has a single level.
    """
    latents, factors = np.asarray(latents), np.asarray(factors)
    if latents.ndim != 2 or factors.ndim != 2 or len(latents) != len(factors):
        raise ValueError(
            "disentanglement scores take latents (N, D) and factors (N, F); received "
            f"{latents.shape} and {factors.shape}."
        )
    latents = latents.astype("float64")
    if factors.dtype.kind not in "iu":
        raise ValueError(
            f"factors must be integer levels; received dtype={factors.dtype}. Number "
            "the levels, for example with np.unique(..., return_inverse=True)."
        )
    if not np.isfinite(latents).all():
        raise ValueError("latents hold NaN or infinity.")
    if categorical is None:
        categorical = (False,) * factors.shape[1]
    flags = tuple(categorical) if isinstance(categorical, Sequence) else ()
    if len(flags) != factors.shape[1]:
        raise ValueError(
            f"categorical must name each of the {factors.shape[1]} factors; received "
            f"{len(flags)}."
        )
    columns = [np.unique(column, return_inverse=True) for column in factors.T]
    single = [i for i, (levels, _) in enumerate(columns) if len(levels) < 2]
    if single:
        raise ValueError(
            f"factor {single[0]} has a single level in these examples, so there is "
            "nothing to score. Leave it out."
        )
    return latents, np.stack([inverse for _, inverse in columns], axis=1), flags


def split_examples(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits the examples at random into two halves, for fitting and for scoring."""
    order = np.random.default_rng(seed).permutation(num)
    return order[: num // 2], order[num // 2 :]
