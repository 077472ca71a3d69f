"""Rows of arrays: which are equal to others, and how to split them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.inputs import Inputs

_ROWS = 1024


def take(inputs: Inputs, rows: np.ndarray | slice) -> Inputs:
    """Returns some examples, as numpy arrays."""
    return Inputs(**{k: np.asarray(v)[rows] for k, v in inputs.to_dict().items()})


def row_hashes(x: Any) -> np.ndarray:
    """Computes a 64-bit hash of each row; equal rows have equal ones.

        hash = sum_i mix(word_i * odd_i)  mod 2^64

    Args:
        x: (N, ...) numbers; they are compared as float32.

    Returns:
        hashes: (N,) uint64.
    """
    rows = np.asarray(x).reshape(len(x), -1)
    factors = np.random.default_rng(0x5EED).integers(
        2**63, size=rows.shape[1], dtype="uint64"
    )
    factors = factors * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(rows), "uint64")
    for start in range(0, len(rows), _ROWS):
        tile = rows[start : start + _ROWS].astype("float32") + np.float32(
            0.0
        )  # -0 is 0
        mixed = tile.view("uint32").astype("uint64") * factors  # wraps around
        mixed ^= mixed >> np.uint64(29)
        hashes[start : start + _ROWS] = mixed.sum(axis=1, dtype="uint64")
    return hashes


def count_shared(x: Any, others: Any) -> int:
    """Counts the rows of x that are equal to one of the others."""
    return int(np.isin(row_hashes(x), row_hashes(others)).sum())
