"""Examples that stay on disk, read row by row on demand."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from kvae.core.errors import UserError
from kvae.core.types import Tensor
from kvae.training.data.sources.npy_file import NpyFile
from kvae.training.data.sources.python_in_graph import call_python

_NONE = np.zeros(0, np.int64)
_SAMPLE = 10_000  # rows that represent all when parts of a model are chosen
_SAMPLE_BYTES = 64 * 2**20
_CHUNK_BYTES = 16 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class ExamplesOnDisk:
    """Examples in .npy files, of which only the requested rows are read.

    It has the length and the shape of an array, but isn't one: `np.asarray` is refused,
    because the data may not fit into memory. Rows are read by position (`pread`)
    instead of being mapped, so the system's cache of the files doesn't count as memory
    of the process.

    Attributes:
        files: in their order; all of the same shape and dtype.
        divisor: the number that values are divided by, as float32.
        left_out: rows of the files that are not among the examples, in order.
        failures: the errors of reads inside a graph, where errors lose their class.
    """

    files: tuple[NpyFile, ...]
    divisor: float = 1.0
    left_out: np.ndarray = dataclasses.field(default_factory=_NONE.copy)
    failures: list[UserError] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        """N, the number of examples."""
        return int(self._starts[-1]) - len(self.left_out)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *shape), as of an array."""
        return (len(self), *self.files[0].shape)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the numbers on disk."""
        return self.files[0].dtype

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        """Refuses to be read as a whole."""
        raise UserError(
            f"{len(self)} examples are on disk and aren't read into memory as a whole. "
            "Read some with examples[rows], all of them in turn with .chunks(), or "
            "train on kvae.training.training_batches(examples, batch_size, seed)."
        )

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Reads examples as they are on disk.

        Args:
            rows: (B,) integers from -N to N - 1, in any order, negative ones counted
                from the end; or (N,) booleans, True for those to read.

        Returns:
            raw: (B, *shape) in the dtype of the files.

        Raises:
            IndexError: if a row doesn't exist, or `rows` is anything else.
            UserError: if a file has been shortened, or the disk fails.
        """
        rows = self._in_files(_positions(rows, len(self)))
        which = np.searchsorted(self._starts, rows, side="right") - 1
        size = self.files[0].bytes_per_row()
        places = self._offsets[which] + (rows - self._starts[which]) * size
        # Rows that follow one another are read in one call.
        follows = (np.diff(places) == size) & (np.diff(which) == 0)
        first = np.flatnonzero(np.concatenate([np.ones(min(1, len(rows))), ~follows]))
        lengths = np.diff(first, append=len(rows)) * size
        runs = list(
            zip(
                which[first].tolist(),
                places[first].tolist(),
                lengths.tolist(),
                strict=True,
            )
        )
        if hasattr(os, "posix_fadvise"):
            # If it knows all runs at once, the disk fetches them in parallel: measured
            # 4 ms for 256 rows of 4 KB that were in no cache, one by one 30 ms.
            for file, place, length in runs:
                _expect(self.files[file].descriptor, place, length)
        raw = np.empty((len(rows), *self.files[0].shape), self.dtype)
        if raw.size:
            left = raw.data.cast("B")
            for file, place, length in runs:
                _read_run(self.files[file], place, left[:length])
                left = left[length:]
        return raw

    def read_in_graph(self, rows: Tensor) -> Tensor:
        """Does what `read` does, inside a graph; errors are kept in `failures` too."""

        def read(rows: np.ndarray) -> np.ndarray:
            try:
                return self.read(rows)
            except UserError as error:
                self.failures.append(error)
                raise

        return call_python(read, [rows], self.dtype, (None, *self.files[0].shape))

    def scale(self, raw: Tensor) -> Tensor:
        """Turns the result of `read_in_graph` into the float32 that a model takes."""
        x = tf.cast(raw, tf.float32)
        return x if self.divisor == 1 else x / tf.constant(self.divisor, tf.float32)

    def __getitem__(self, rows: int | slice | np.ndarray) -> np.ndarray:
        """Reads examples as a model takes them: `examples[rows]`, float32.

        Args:
            rows: a number, a slice, or what `read` takes.

        Raises:
            IndexError: as of `read`.
        """
        if isinstance(rows, tuple):  # of an array, one index for each axis
            raise IndexError(
                "examples on disk can only be indexed by rows; use examples[rows][:, "
                "...] for parts of them."
            )
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        elif np.ndim(rows) == 0 and np.asarray(rows).dtype.kind in "iu":
            return self[np.array([rows])][0]
        x = self.read(np.asarray(rows)).astype("float32")
        return x if self.divisor == 1 else x / np.float32(self.divisor)

    def chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Reads all examples in turn, a few at a time.

        Yields:
            first: row of the first.
            x: (n, *shape) float32, about 16 MiB.
        """
        step = self._rows_of(_CHUNK_BYTES)
        for first in range(0, len(self), step):
            yield first, self[first : first + step]

    def sample_rows(self, labels: np.ndarray | None = None) -> np.ndarray:
        """Chooses rows that represent all: evenly spaced, 10 000 or 64 MiB at most.

        Args:
            labels: (N,); if given, the first row of each label is among them.
        """
        count = min(len(self), _SAMPLE, self._rows_of(_SAMPLE_BYTES))
        rows = np.linspace(0, len(self) - 1, count).astype(np.int64)
        if labels is not None:
            rows = np.concatenate([rows, np.unique(labels, return_index=True)[1]])
        return np.unique(rows)

    def without(self, rows: np.ndarray) -> ExamplesOnDisk:
        """Returns these examples without the (n,) `rows`."""
        gone = np.concatenate([self.left_out, self._in_files(np.asarray(rows))])
        return dataclasses.replace(self, left_out=np.sort(gone))

    def divided_by(self, divisor: float) -> ExamplesOnDisk:
        """Returns the same examples, divided as float32."""
        return dataclasses.replace(self, divisor=divisor)

    def _in_files(self, rows: np.ndarray) -> np.ndarray:
        """Finds the row of each example among all rows of the files."""
        return rows + np.searchsorted(self._gaps, rows, side="right")

    def _rows_of(self, size: int) -> int:
        return max(1, size // (4 * max(1, int(np.prod(self.files[0].shape)))))

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        """Finds the first row of each file among all rows, and the end."""
        return np.cumsum([0, *(file.count for file in self.files)])

    @functools.cached_property
    def _offsets(self) -> np.ndarray:
        return np.array([file.offset for file in self.files], np.int64)

    @functools.cached_property
    def _gaps(self) -> np.ndarray:
        """Finds the example that follows each left-out row."""
        return self.left_out - np.arange(len(self.left_out))


def _positions(rows: np.ndarray, count: int) -> np.ndarray:
    """Turns row indices, as NumPy takes them, into int64 from 0 to `count` - 1."""
    rows = np.asarray(rows)
    if rows.shape == (0,) and rows.dtype.kind != "b":  # an empty list has a float dtype
        return _NONE
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise IndexError(
            "rows must be integers (B,), or booleans, one for each example; received "
            f"shape {rows.shape}, dtype {rows.dtype}."
        )
    if rows.dtype.kind == "b":
        if len(rows) != count:
            raise IndexError(
                f"choosing among {count} examples needs {count} booleans; received "
                f"{len(rows)}."
            )
        return np.flatnonzero(rows)
    if rows.min() < -count or rows.max() >= count:
        raise IndexError(
            f"rows go from 0 to {count - 1}, or from -{count} to -1 counted from the end; "
            f"received {rows.min()} to {rows.max()}."
        )
    rows = rows.astype(np.int64, copy=False)
    return np.where(rows < 0, rows + count, rows)


def _expect(descriptor: int, place: int, length: int) -> None:
    os.posix_fadvise(descriptor, place, length, os.POSIX_FADV_WILLNEED)


def _read_run(file: NpyFile, place: int, into: memoryview) -> None:
    while into:
        try:
            done = os.preadv(file.descriptor, [into], place)
        except OSError as error:
            raise UserError(f"{file.path} cannot be read: {error.strerror}.") from error
        if done == 0:
            raise UserError(
                f"{file.path} ends before its last example, so it has been shortened "
                "since it was opened. Write it again."
            )
        into, place = into[done:], place + done
