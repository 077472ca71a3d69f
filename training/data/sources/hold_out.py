"""Holds out rows for tests and validation: at random, but the same in every run."""

from __future__ import annotations

import math

import numpy as np

from kvae.core.errors import UserError

HOLD_OUT_SEED = 20131220
"""The seed of the fixed permutations that hold out missing parts."""


def validation_rows(
    count: int,
    wanted: float,
    labels: np.ndarray | None,
    notes: list[str],
    most: int | None = None,
) -> np.ndarray:
    """Draws the rows of a validation set from the training examples.

    The draw depends on the number of examples and their labels alone, not on the seed of
    a run, so validation ELBOs of several runs compare. With labels, each class has its
    share, rounded up or down.

    Args:
        count: N, of the training examples.
        wanted: how many to hold out, or a share if below 1.
        labels: one per example, (N,), or None.
        notes: gets another sentence if any rows are drawn.
        most: the maximum number for a share.

    Returns:
        rows: sorted, distinct.

    Raises:
        UserError: if no training example would be left.
    """
    kept = int(wanted)
    if wanted < 1:
        kept = math.ceil(wanted * count)
        kept = kept if most is None else min(kept, most)
    if kept >= count:
        raise UserError(
            f"validation={wanted:g} leaves none of the {count} training examples; use "
            "a smaller number, or a share below 1."
        )
    if not kept:
        return np.zeros(0, np.int64)
    order = np.random.default_rng(HOLD_OUT_SEED + 1).permutation(count)
    # With the rows sorted by class, evenly spaced ones give each class its share.
    by_class = labels is not None and np.shape(labels) == (count,)
    if by_class:
        order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
    every = (2 * np.arange(kept) + 1) * count // (2 * kept)
    shares = ", the same share of each class" if by_class else ""
    notes.append(
        f"{kept} training examples, drawn at random{shares}, are the validation set."
    )
    return np.sort(order[every])
