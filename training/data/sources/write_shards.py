"""Writes data of any size as a folder of .npy files."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kvae.core.atomic import replacing, staged
from kvae.core.checks import is_integer
from kvae.core.errors import UserError

_PARTS = ("train", "test", "validation")
_SHARD_BYTES = 256 * 2**20


def write_shards(
    folder: pathlib.Path | str,
    parts: Mapping[str, Iterable[Any]],
    rows: int | None = None,
) -> pathlib.Path:
    """Writes a stream of batches as a folder for `load_data`.

    It needs memory for one shard. The folder appears only when it is complete; until
    then it is a hidden folder beside it, `.NAME.PID.partial.*`. Only a killed process
    leaves that folder behind, and the next one removes it.

    Args:
        folder: to create.
        parts: the batches of train, and optionally test and validation: arrays (n,
            *shape), or pairs of an array and labels (n,), all of them numbers. They are
            copied as they come, so you may reuse the memory of a batch for the next
            one.
        rows: examples per file; the last file may have fewer. None makes files of 256 MiB.

    Returns:
        folder: with train-00000.npy, train-00000-labels.npy and so on.

    Raises:
        UserError: if the folder exists, a part is unknown or empty, batches don't
            match, or a shard does not fit in memory.
        WriteError: if the system refuses, with its reason in words.
    """
    folder = pathlib.Path(folder).expanduser()
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder, or remove it.")
    few = rows is not None and not (is_integer(rows) and rows > 0)
    if not isinstance(parts, Mapping):
        raise UserError(f"write_shards takes a dict of parts; received {parts!r}.")
    if "train" not in parts or set(parts) - set(_PARTS) or few:
        raise UserError(
            "write_shards takes train and optionally test and validation, and a "
            f"positive number of rows; received {', '.join(parts) or 'no parts'} and "
            f"rows={rows}."
        )
    with staged(folder) as beside:
        for part, batches in parts.items():
            _write_part(beside, part, batches, rows)
    return folder


def _write_part(
    folder: pathlib.Path, part: str, batches: Iterable[Any], rows: int | None
) -> None:
    index = -1
    for index, (x, labels) in enumerate(_shards(part, batches, rows)):
        for suffix, array in (("", x), ("-labels", labels)):
            if array is not None:
                with replacing(folder / f"{part}-{index:05}{suffix}.npy") as path:
                    np.save(path, array, allow_pickle=False)
    if index < 0:
        raise UserError(f"there are no {part} examples.")


def _shards(
    part: str, batches: Iterable[Any], rows: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Regroups batches into shards of `rows` examples, reusing the same memory."""
    kind: Any = None
    count = 0
    for batch in batches:
        x, labels = _as_arrays(part, batch)
        now = (x.shape[1:], x.dtype, None if labels is None else labels.dtype)
        if kind is None:
            kind = now
            size = rows or max(1, _SHARD_BYTES // _bytes_of_one(x))
            shard, shard_labels = _room(size, x, labels)
        if now != kind:
            raise UserError(
                f"the batches of {part} must agree in shape, in dtype, and in whether "
                f"they have labels; received {kind}, then {now}."
            )
        while len(x):
            taken = min(len(x), size - count)
            shard[count : count + taken] = x[:taken]
            x = x[taken:]
            if labels is not None:
                shard_labels[count : count + taken] = labels[:taken]
                labels = labels[taken:]
            count += taken
            if count == size:
                yield shard, shard_labels
                count = 0
    if count:
        yield shard[:count], None if shard_labels is None else shard_labels[:count]


def _room(
    rows: int, x: np.ndarray, labels: np.ndarray | None
) -> tuple[np.ndarray, Any]:
    """Allocates memory for the rows of a shard, in the byte order that is read."""
    try:
        room = np.empty((rows, *x.shape[1:]), x.dtype.newbyteorder("="))
        if labels is None:
            return room, None
        return room, np.empty(rows, labels.dtype.newbyteorder("="))
    except (
        MemoryError,
        ValueError,
        OverflowError,
    ) as error:  # the latter two if no machine could have that much
        raise UserError(
            f"a file of {rows} examples takes {rows * _bytes_of_one(x) // 2**30} "
            "GiB of memory while it is written, more than there is; use fewer rows."
        ) from error


def _bytes_of_one(x: np.ndarray) -> int:
    return max(1, math.prod(x.shape[1:]) * x.dtype.itemsize)


def _as_arrays(part: str, batch: Any) -> tuple[np.ndarray, np.ndarray | None]:
    pair = batch if isinstance(batch, (tuple, list)) else (batch,)
    if len(pair) not in (1, 2):
        raise UserError(
            f"a batch of {part} must be an array, or a pair of an array and labels; "
            f"received a {type(batch).__name__} of {len(pair)}."
        )
    x = np.asarray(pair[0])
    if x.ndim < 2 or not _is_numbers(x):
        raise UserError(
            f"a batch of {part} must be numbers (n, *shape) of 64 bits at most, or a pair "
            f"of them and labels; received shape {x.shape}, dtype {x.dtype}."
        )
    if len(pair) == 1 or pair[1] is None:
        return x, None
    labels = np.asarray(pair[1])
    if labels.shape != x.shape[:1]:
        raise UserError(
            f"labels of {part} must be one for each of the {len(x)} examples of a batch; "
            f"received shape {labels.shape}."
        )
    if not _is_numbers(labels):
        raise UserError(
            f"labels of {part} must be numbers; for classes, integers from 0. Received "
            f"dtype {labels.dtype}. Turn names into numbers, for example with "
            "names.index(name)."
        )
    return x, labels


def _is_numbers(array: np.ndarray) -> bool:
    """Returns whether `load_data` can read it."""
    return array.dtype.kind in "fiub" and array.dtype.itemsize <= 8
