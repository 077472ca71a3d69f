"""Rows of arrays: which are equal to others, and how to split them."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.inputs import Inputs
from kvae.tables import Schema
from kvae.tables.schema import is_frame

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


def without_unseen(schema: Schema | None, x: Any) -> tuple[Any, np.ndarray | None]:
    """Hides levels that the data of a model of a table didn't have, and says where.

    Args:
        schema: of the table; None for other data.
        x: a data frame, a dict with one as "x", or anything else, which is returned.

    Returns:
        x: numbers, NaN where a level is unseen.
        unseen: (N, entries) booleans; None if there are none.
    """
    rows = x.get("x") if isinstance(x, dict) else x
    if schema is None or not is_frame(rows):
        return x, None
    unseen = schema.unseen(rows)
    if not unseen.any():
        return x, None
    numbers = schema.encode(rows, hide_unseen=True)
    return {**x, "x": numbers} if isinstance(x, dict) else numbers, unseen
