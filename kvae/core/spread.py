"""Location and scale of data, which standardizing removes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_ALIKE = 10.0  # ranges within this factor count as one unit
_NEAR = 3.0  # means within this many spreads of the common mean share it
_ENTRIES = 2**24  # measured at most, from evenly spaced examples, ...
_EXAMPLES = 1000  # ... but at least this many of them
_ROWS = 4096  # read at a time, so that they need little memory


@dataclasses.dataclass(frozen=True)
class Spread:
    """Location and scale of a data set, for standardizing: u = (x - loc) / scale.

    Attributes:
        loc: in the shape of one example, or a number for all entries.
        scale: likewise, positive.
        shared: whether one number suits all entries; otherwise each index of the last
            axis (column, channel, feature of a series) has its own.
    """

    loc: np.ndarray
    scale: np.ndarray
    shared: bool

    @classmethod
    def of(cls, x: Any, transform: Callable[[np.ndarray], Any] | None = None) -> Spread:
        """Measures the mean and the standard deviation of some data.

        All entries share one location and one scale if the ranges and means along the
        last axis are similar, as they are for pixels; a table of columns in different
        units gets one of each per column. The rarest tenth of columns does not count
        here, because pixels at the border of an image hardly ever light up. Entries
        that never change get the scale abs(loc), or 1 at 0.

        Args:
            x: (N, ..., C) numbers, N at least 1; NaN where an entry is missing.
            transform: applied first, for example `np.log1p`.

        Returns:
            spread: in float64.
        """
        x = np.asarray(x)
        most = max(_EXAMPLES, _ENTRIES // max(1, x[0].size))
        x = x[:: -(-len(x) // most)]
        width = x.shape[-1]

        def blocks() -> Iterator[np.ndarray]:
            for start in range(0, len(x), _ROWS):
                block = x[start : start + _ROWS].astype("float64").reshape(-1, width)
                yield block if transform is None else transform(block)

        count, total = np.zeros(width), np.zeros(width)
        low, high = np.full(width, np.inf), np.full(width, -np.inf)
        for block in blocks():
            count += np.isfinite(block).sum(axis=0)
            total += np.nansum(block, axis=0)
            low = np.fmin(low, np.fmin.reduce(block, axis=0))
            high = np.fmax(high, np.fmax.reduce(block, axis=0))
        count = np.maximum(count, 1.0)
        mean = total / count
        squares = np.zeros(width)
        for block in blocks():
            squares += np.nansum(np.square(block - mean), axis=0)
        within = np.sqrt(squares.sum() / count.sum())
        common = total.sum() / count.sum()
        ranges = np.sort((high - low)[high > low])
        if len(ranges) and ranges[-1] <= _ALIKE * ranges[(len(ranges) - 1) // 10]:
            if np.all(np.abs(mean - common) <= _NEAR * within):
                between = np.sum(count * np.square(mean - common))
                scale = np.sqrt((squares.sum() + between) / count.sum())
                return cls(np.asarray(common), np.asarray(scale), shared=True)
        scale = np.sqrt(squares / count)
        constant = np.where(mean == 0, 1.0, np.abs(mean))
        return cls(mean, np.where(scale > 0, scale, constant), shared=False)
