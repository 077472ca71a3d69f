"""Examples that stay on disk, read row by row as they are wanted."""

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
_SAMPLE = 10_000  # rows that stand for all when parts of a model are chosen
_SAMPLE_BYTES = 64 * 2**20
_CHUNK_BYTES = 16 * 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class ExamplesOnDisk:
    """Examples in .npy files, of which only the rows that are asked for are read.

    It has the length and the shape of an array and is none: `np.asarray` of it is
    refused, for the reason that it exists. Rows are read by position (`pread`) and not
    mapped, so what the system keeps of the files counts as its cache and not as memory
    of the process.

    Attributes:
        files: in their order; all of the same shape and dtype.
        divisor: by which numbers are divided once they are float32.
        left_out: rows of the files that are not among the examples, in order.
        failures: what went wrong in reading for a graph, where errors lose their class.
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
        """Of the numbers on disk."""
        return self.files[0].dtype

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        """Refuses to be read as a whole."""
        raise UserError(
            f"{len(self)} examples lie on disk and are not read into memory together; "
            "read some as examples[rows], all of them in turn by .chunks(), or train on "
            "kvae.training.training_batches(examples, batch_size, seed)."
        )

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Reads examples as they are on disk.

        Args:
            rows: (B,) integers from -N to N - 1, in any order, negative ones counted
                from the end; or (N,) booleans, True for those to read.

        Returns:
            raw: (B, *shape) in the dtype of the files.

        Raises:
            IndexError: if there is no such row, or `rows` is anything else.
            UserError: if a file has become shorter, or the disk fails.
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
            # Told of all runs at once, the disk fetches them side by side: measured
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
        """As `read`, inside a graph; what fails is kept in `failures` too."""

        def read(rows: np.ndarray) -> np.ndarray:
            try:
                return self.read(rows)
            except UserError as error:
                self.failures.append(error)
                raise

        return call_python(read, [rows], self.dtype, (None, *self.files[0].shape))

    def scale(self, raw: Tensor) -> Tensor:
        """What a model takes of what `read_in_graph` gives, float32."""
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
                "examples on disk are read by their rows alone; take "
                "examples[rows][:, ...] for parts of them."
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
        """Chooses rows that stand for all: evenly spread, 10 000 or 64 MiB at most.

        Args:
            labels: (N,); if given, the first row of each label is among them.
        """
        count = min(len(self), _SAMPLE, self._rows_of(_SAMPLE_BYTES))
        rows = np.linspace(0, len(self) - 1, count).astype(np.int64)
        if labels is not None:
            rows = np.concatenate([rows, np.unique(labels, return_index=True)[1]])
        return np.unique(rows)

    def without(self, rows: np.ndarray) -> ExamplesOnDisk:
        """These examples without some of them, the (n,) `rows`."""
        gone = np.concatenate([self.left_out, self._in_files(np.asarray(rows))])
        return dataclasses.replace(self, left_out=np.sort(gone))

    def divided_by(self, divisor: float) -> ExamplesOnDisk:
        """The same examples, divided once they are float32."""
        return dataclasses.replace(self, divisor=divisor)

    def _in_files(self, rows: np.ndarray) -> np.ndarray:
        """Of each example, which row it is of all the files hold."""
        return rows + np.searchsorted(self._gaps, rows, side="right")

    def _rows_of(self, size: int) -> int:
        return max(1, size // (4 * max(1, int(np.prod(self.files[0].shape)))))

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        """Of each file the row that its first one is among all, and the end."""
        return np.cumsum([0, *(file.count for file in self.files)])

    @functools.cached_property
    def _offsets(self) -> np.ndarray:
        return np.array([file.offset for file in self.files], np.int64)

    @functools.cached_property
    def _gaps(self) -> np.ndarray:
        """Of each row that is left out the example that comes after it."""
        return self.left_out - np.arange(len(self.left_out))


def _positions(rows: np.ndarray, count: int) -> np.ndarray:
    """Indices of rows as NumPy understands them, from 0 to `count` - 1, int64."""
    rows = np.asarray(rows)
    if rows.shape == (0,) and rows.dtype.kind != "b":  # an empty list has a float dtype
        return _NONE
    if rows.ndim != 1 or rows.dtype.kind not in "iub":
        raise IndexError(
            "rows are given as integers (B,), or as booleans, one for each example; "
            f"received shape {rows.shape}, dtype {rows.dtype}."
        )
    if rows.dtype.kind == "b":
        if len(rows) != count:
            raise IndexError(
                f"booleans that choose among {count} examples must be {count}; "
                f"received {len(rows)}."
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
                f"{file.path} ends before its last example: it has become shorter since "
                "it was opened. Write it again."
            )
        into, place = into[done:], place + done
