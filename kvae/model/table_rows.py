"""Rows of a table that a model draws given some of their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kvae.completion import complete
from kvae.core.checks import check_count, check_seed
from kvae.tables.column import Column, pandas
from kvae.tables.schema import as_frame, is_frame

_ROWS = 4096  # completed at a time


def is_table_condition(condition: Any) -> bool:
    """Returns whether a condition names columns of a table."""
    return isinstance(condition, dict) or is_frame(condition)


def sample_given(vae: Any, given: Any, num: int | None, seed: int | None) -> Any:
    """Draws rows given the values of some columns, from p(hidden | visible).

    Latents are drawn for each row from a mixture of q(z | visible) and the prior, and
    chosen by their importance weights.

    Args:
        vae: a `kvae.VAE` of a table.
        given: values by column, {"class": "good", "age": 30}, or a frame of one row, or
            of one for each sample.
        num: how many rows; None draws one for each row of `given`.
        seed: of the draw; None draws different rows in each call.

    Returns:
        frame: with the given values.

    Raises:
        ValueError: for unknown columns or levels, or rows of another number.
    """
    pd = pandas()
    if isinstance(given, dict):
        single = not any(isinstance(v, (list, np.ndarray)) for v in given.values())
        given = pd.DataFrame(given, index=[0] if single else None)
    given = as_frame(given)
    if len(given) == 1 and num is not None:
        given = given.iloc[np.zeros(check_count("num", num), int)]
    if num is not None and len(given) != num:
        raise ValueError(
            f"condition must have one row, or one for each of the num={num} samples; "
            f"received {len(given)}."
        )
    x = vae.schema.encode(given, some=True)
    if np.isnan(x).all():
        raise ValueError("condition must give a value of at least one column.")
    seed = np.random.randint(2**31) if seed is None else check_seed(seed)
    drawn = [rows[:, 0] for _, rows in _completed(vae, x, 1, seed)]
    return vae.schema.decode(np.concatenate(drawn))


def impute(
    vae: Any, frame: Any, draw: bool = False, num: int = 64, seed: int = 0
) -> Any:
    """Fills in the missing values of a table, given the others of their rows.

    Numbers get the mean of `num` draws from p(missing | observed), which has the least
    squared error, and levels the most frequent one.

    Args:
        vae: a `kvae.VAE` of a table.
        frame: with missing values; None, NaN, NaT, or NA.
        draw: take a single draw instead, so that the values spread as in the data.
        num: draws behind a mean.
        seed: of the draws.

    Returns:
        frame: a copy without missing values, except in columns that were never seen
            with one.

    Raises:
        ValueError: if the model is not one of a table, or a row has no value at all.
    """
    if vae.schema is None:
        raise ValueError(
            "impute fills in data frames, and this is not a model of a table. For "
            "arrays, use kvae.evaluation.impute(vae, x)."
        )
    num = 1 if draw else check_count("num", num)
    check_seed(seed)
    frame = as_frame(frame).copy()
    x = vae.schema.encode(frame)
    missing = np.stack([_holes(c, frame) for c in vae.schema.columns], axis=1)
    rows = np.flatnonzero(missing.any(axis=1))
    filled: list[list[np.ndarray]] = [[] for _ in vae.schema.columns]
    for start, drawn in _completed(vae, x[rows], num, seed):
        # Averaged block by block: the draws of a large table don't fit into memory.
        parts = vae.schema.split(drawn.reshape(-1, drawn.shape[-1]))
        absent = missing[rows[start : start + len(drawn)]]
        for i in np.flatnonzero(absent.any(axis=0)):
            draws = parts[i][np.repeat(absent[:, i], num)]
            averages = vae.schema.columns[i].average(draws, num)
            filled[i].append(averages.to_numpy())
    for column, values, absent in zip(
        vae.schema.columns, filled, missing.T, strict=True
    ):
        if not values:
            continue
        at = frame.columns.get_loc(column.name)
        frame.iloc[np.flatnonzero(absent), at] = np.concatenate(values)
        if column.dtype.startswith("int"):  # pandas reads holes in them as floats
            frame[column.name] = frame[column.name].astype(column.dtype)
    return frame


def _holes(column: Column, frame: Any) -> np.ndarray:
    """Which rows miss a value that a model can fill in, (N,)."""
    if column.kind in ("ignored", "empty") or column.name not in frame.columns:
        return np.zeros(len(frame), bool)
    return np.asarray(frame[column.name].isna())


def _completed(
    vae: Any, x: np.ndarray, num: int, seed: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Completes rows (N, entries), NaN where hidden, a block at a time.

    Yields:
        start: of the block.
        drawn: (block, num, entries).
    """
    for block, start in enumerate(range(0, len(x), _ROWS)):
        rows = x[start : start + _ROWS]
        known = ~np.isnan(rows)
        of_block = (seed + block) % 2**31
        completions = complete(
            vae, np.where(known, rows, 0), known, num, of_block, mean=False
        )
        yield start, completions.x
