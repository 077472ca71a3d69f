"""Data of any size, written as a folder of .npy files."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kvae.training.atomic import WriteError, replacing
from kvae.training.errors import UserError

_PARTS = ("train", "test", "validation")


def write_shards(
    folder: pathlib.Path | str, parts: Mapping[str, Iterable[Any]], rows: int = 10_000
) -> pathlib.Path:
    """Writes examples that come a few at a time as a folder for `load_data`.

    Memory is that of one shard. The folder appears whole: what is written stands beside
    it, as `.NAME.partial`, until all of it is there.

    Args:
        folder: to make.
        parts: of train, and optionally test and validation, the batches: arrays
            (n, *shape), or pairs of such an array and labels (n,).
        rows: examples in a file, the last one perhaps fewer.

    Returns:
        folder: with train-00000.npy, train-00000-labels.npy and so on.

    Raises:
        UserError: if the folder exists, a part is unknown or empty, or batches do not fit
            together.
        WriteError: if the system refuses, with the reason in words.
    """
    folder = pathlib.Path(folder).expanduser()
    if folder.exists():
        raise UserError(f"{folder} exists; choose another folder, or remove it.")
    if "train" not in parts or set(parts) - set(_PARTS) or rows < 1:
        raise UserError(
            f"write_shards takes train and optionally test and validation, and rows from "
            f"1; received {', '.join(parts) or 'no parts'} and rows={rows}."
        )
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        beside.mkdir(parents=True)
        for part, batches in parts.items():
            _write_part(beside, part, batches, rows)
        beside.rename(folder)
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(
            f"{folder} could not be written: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _write_part(
    folder: pathlib.Path, part: str, batches: Iterable[Any], rows: int
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
    part: str, batches: Iterable[Any], rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Joins and cuts batches to shards of `rows` examples."""
    kind: Any = None
    held: list[tuple[np.ndarray, np.ndarray | None]] = []
    count = 0
    for batch in batches:
        x, labels = _as_arrays(part, batch)
        now = (x.shape[1:], x.dtype, None if labels is None else labels.dtype)
        kind = kind or now
        if now != kind:
            raise UserError(
                f"the batches of {part} must be alike in shape, dtype and whether they "
                f"have labels; received {kind} and then {now}."
            )
        while len(x):
            taken = rows - count
            held.append((x[:taken], None if labels is None else labels[:taken]))
            count += len(held[-1][0])
            x, labels = x[taken:], None if labels is None else labels[taken:]
            if count == rows:
                yield _joined(held)
                held, count = [], 0
    if held:
        yield _joined(held)


def _as_arrays(part: str, batch: Any) -> tuple[np.ndarray, np.ndarray | None]:
    pair = batch if isinstance(batch, (tuple, list)) else (batch, None)
    x = np.asarray(pair[0])
    labels = None if pair[1] is None else np.asarray(pair[1])
    if len(pair) != 2 or x.ndim < 2 or x.dtype.kind not in "fiub":
        raise UserError(
            f"a batch of {part} must be numbers (n, *shape), or a pair of them and "
            f"labels; received shape {x.shape}, dtype {x.dtype}."
        )
    if labels is not None and labels.shape != x.shape[:1]:
        raise UserError(
            f"labels of {part} must be one for each of the {len(x)} examples of a batch; "
            f"received shape {labels.shape}."
        )
    return x, labels


def _joined(
    held: list[tuple[np.ndarray, np.ndarray | None]],
) -> tuple[np.ndarray, np.ndarray | None]:
    x = np.concatenate([x for x, _ in held])
    labels = [labels for _, labels in held if labels is not None]
    return x, np.concatenate(labels) if labels else None
