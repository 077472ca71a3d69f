"""Examples that are read a few rows at a time, from memory or disk."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.pipeline import TEST_BINARIZATION_SEED


class Rows(Protocol):
    """Anything that is read by rows: an array, a `numpy.memmap`, or data on disk."""

    def __len__(self) -> int:
        """N, the number of rows."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Rows a to b - 1 of `rows[a:b]`, as an array."""


class _Read:
    """Rows that pass through a function of their values and their position."""

    def __init__(
        self, rows: Rows, function: Callable[[np.ndarray, int], np.ndarray]
    ) -> None:
        self._rows = rows
        self._function = function

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        return self._function(np.asarray(self._rows[start:stop]), start)


class _Joined:
    """Several sources of rows, one after the other."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._ends = list(itertools.accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        read = []
        while start < stop:
            index = bisect.bisect_right(self._ends, start)
            before = self._ends[index] - len(self._parts[index])
            until = min(stop, self._ends[index])
            read.append(np.asarray(self._parts[index][start - before : until - before]))
            start = until
        if not read:
            return np.asarray(self._parts[0][:0])
        return read[0] if len(read) == 1 else np.concatenate(read)


def mapped(rows: Rows, function: Callable[[np.ndarray], np.ndarray]) -> Rows:
    """Passes rows through a function when they are read."""
    return _Read(rows, lambda read, start: function(read))


def joined(parts: Sequence[Rows]) -> Rows:
    """Joins sources of rows one after the other, without reading them."""
    return parts[0] if len(parts) == 1 else _Joined(parts)


def checked(rows: Rows, divisor: float, name: str) -> Rows:
    """Checks that rows are in the range of pixels, [0, 1], when they are read.

    Args:
        rows: (N, *shape) float32, divided integers.
        divisor: the number that they were divided by.
        name: of the data, for the message.

    Returns:
        same: the rows. Reading raises `UserError` for values outside [0, 1].
    """

    def check(read: np.ndarray, start: int) -> np.ndarray:
        if not _in_unit_interval(read):
            low, high = read.min() * divisor, read.max() * divisor
            raise UserError(
                f"{name}, examples {start} to {start + len(read) - 1}: integers "
                f"range over {low:g} to {high:g}, and are divided by {divisor:g} to be "
                "in [0, 1]. Scale them as in training, and save floats."
            )
        return read

    return _Read(rows, check)


def binarized(rows: Rows, seed: int = TEST_BINARIZATION_SEED) -> Rows:
    """Binarizes rows when they are read: 1 with probability x, from a fixed seed.

    The pixels are those of `binarize_once(rows[:])`, wherever reading starts.

    Args:
        rows: (N, *shape) float32 in [0, 1].
        seed: of the draw.

    Returns:
        binary: zeros and ones. Reading raises `UserError` for values outside [0, 1].
    """

    def draw(read: np.ndarray, start: int) -> np.ndarray:
        if not _in_unit_interval(read):
            raise UserError(
                "pixels are drawn from probabilities in [0, 1]; examples "
                f"{start} to {start + len(read) - 1} range over {read.min():.3g} to "
                f"{read.max():.3g}. Scale them as in training."
            )
        before = start * math.prod(read.shape[1:])
        bits = np.random.PCG64(seed)
        bits.advance(before // 2)  # one state makes two numbers of 32 bits
        generator = np.random.Generator(bits)
        if before % 2:
            generator.random(dtype=np.float32)
        uniform = generator.random(read.shape, dtype=np.float32)
        return (uniform < read).astype("float32")

    return _Read(rows, draw)


def _in_unit_interval(read: np.ndarray) -> bool:
    return not read.size or bool(read.min() >= 0 and read.max() <= 1)  # NaN is not
