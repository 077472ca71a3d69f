"""Folders of .npy files, and large .npy files: data sets that stay on disk."""

from __future__ import annotations

import logging
import math
import pathlib

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.sources.data_set import DataSet, Raw, scale
from kvae.training.data.sources.examples_on_disk import ExamplesOnDisk
from kvae.training.data.sources.hold_out import HOLD_OUT_SEED, validation_rows
from kvae.training.data.sources.npy_file import NpyFile
from kvae.training.data.sources.source import Request, Source, is_run

_LOG = logging.getLogger("kvae")

IN_MEMORY_BYTES = 256 * 2**20
"""Bytes; larger .npy files stay on disk, as does every folder of .npy files."""

_PARTS = ("train", "test", "validation")
_LABELS = "-labels"
_HELD_OUT_MOST = 10_000  # as many as the test sets of CIFAR-10 and MNIST have
_PART_BYTES = 2 * 2**30  # of a test or validation part in memory


class ArrayShards(Source):
    """A folder of .npy files, or a large .npy file, by its path."""

    at_path = True

    def matches(self, name: str) -> bool:
        """Returns whether these arrays stay on disk."""
        return holds_arrays(pathlib.Path(name).expanduser())

    def read(self, name: str, request: Request) -> DataSet:
        """Opens it; see `read_array_shards`."""
        path = pathlib.Path(name).expanduser()
        return read_array_shards(path, request.validation, request.pixel_max)


def holds_arrays(path: pathlib.Path, any_size: bool = False) -> bool:
    """Returns whether a path is a folder of .npy files, or one file (a large one)."""
    if path.is_dir():
        return any(path.glob("*.npy")) and not is_run(path)
    taken = path.is_file() and (any_size or path.stat().st_size > IN_MEMORY_BYTES)
    return taken and path.suffix.lower() == ".npy"


def read_array_shards(
    path: pathlib.Path, validation: float = 0.0, pixel_max: float | None = None
) -> DataSet:
    """Opens a data set whose training examples stay on disk.

    In a folder, files whose names begin with train, test or validation make up these
    parts, in the order of their names; if none does, all are training examples. The
    labels of `train-0.npy` are in `train-0-labels.npy`. Labels, test and validation
    examples are read into memory.

    Args:
        path: a folder of .npy files, or one .npy file, each (n, *shape).
        validation: how many training examples to hold out, or a share if below 1, then
            at most 10 000; not used if there is a validation part.
        pixel_max: the maximum of integer pixels; None takes it from their dtype and a
            sample; 1 leaves integers as they are.

    Returns:
        data: with `ExamplesOnDisk` as `train`, integers scaled to [0, 1] as they are
            read.

    Raises:
        UserError: if a file is damaged, files don't match, or a part is too small to
            split or too large for memory.
    """
    files = files_of_parts(path)
    if "train" not in files:
        raise UserError(f"{path} holds no training examples, train-*.npy.")
    parts = {name: open_part(name, listed) for name, listed in files.items()}
    labels = {name: labels_of(listed, parts[name]) for name, listed in files.items()}
    for part in parts.values():
        check_alike(parts["train"].files[0], part.files[0])
    notes: list[str] = []
    train, train_labels = parts["train"], labels["train"]
    arrays: dict[str, np.ndarray | None] = {}
    if "test" in parts:
        arrays["test"] = _in_memory("test", parts["test"])
    else:
        rows = _held_out(len(train), notes)
        arrays["test"] = _in_memory("test", train, rows)
        train = train.without(rows)
        if train_labels is not None:
            labels["test"] = train_labels[rows]
            train_labels = np.delete(train_labels, rows)
    if "validation" in parts:
        arrays["validation"] = _in_memory("validation", parts["validation"])
    else:
        rows = validation_rows(
            len(train), validation, train_labels, notes, _HELD_OUT_MOST
        )
        arrays["validation"] = _in_memory("validation", train, rows)
        train = train.without(rows)
        if train_labels is not None:
            labels["validation"] = train_labels[rows]
            train_labels = np.delete(train_labels, rows)
    sample = train.read(train.sample_rows())
    arrays["train"], raw = sample, Raw(path.name, sample)
    scaled, divisor, pixel_range = scale(raw, arrays, pixel_max, notes)
    size = sum(file.count * file.bytes_per_row() for file in train.files)
    notes.append(
        f"{len(train)} training examples stay on disk, {size / 2**20:.0f} MiB in "
        f"{len(train.files)} file{'s' if len(train.files) > 1 else ''}."
    )
    for note in notes:
        _LOG.info("%s: %s", path.name, note)
    return DataSet(
        name=path.name,
        train=train.divided_by(divisor),
        test=scaled["test"],
        validation=scaled["validation"],
        train_labels=train_labels,
        test_labels=labels.get("test"),
        validation_labels=labels.get("validation"),
        pixel_range=pixel_range,
        notes=tuple(notes),
        dtype=str(train.dtype),
        divisor=divisor,
    )


def files_of_parts(path: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """The files of examples of each part, in their order.

    Raises:
        UserError: if a file belongs to no part, or labels to no file.
    """
    if path.is_file():
        return {"train": [path]}
    found = sorted(path.glob("*.npy"))
    arrays = [file for file in found if not file.stem.endswith(_LABELS)]
    for file in found:
        owner = file.with_name(f"{file.stem.removesuffix(_LABELS)}.npy")
        if file not in arrays and owner not in arrays:
            raise UserError(f"{file} holds labels, but {owner.name} is missing.")
    parts = {
        part: [file for file in arrays if _part_of(file) == part] for part in _PARTS
    }
    if not any(parts.values()):
        parts["train"] = arrays
    elif stray := [file for file in arrays if _part_of(file) is None]:
        raise UserError(
            f"{stray[0]} belongs to no part. Either all names of files in {path} must "
            "begin with train, test, or validation, or none of them."
        )
    return {part: listed for part, listed in parts.items() if listed}


def _part_of(file: pathlib.Path) -> str | None:
    return next((part for part in _PARTS if file.stem.startswith(part)), None)


def open_part(name: str, paths: list[pathlib.Path]) -> ExamplesOnDisk:
    """Opens the files of a part, which must match and hold examples."""
    files = tuple(NpyFile(path) for path in paths)
    for file in files:
        check_alike(files[0], file)
    if len(files[0].shape) == 0:
        raise UserError(
            f"{paths[0]} must hold (N, D) vectors or (N, H, W) or (N, H, W, C) images; "
            f"received shape ({files[0].count},)."
        )
    part = ExamplesOnDisk(files)
    if len(part) == 0:
        raise UserError(f"{paths[0].parent} holds no {name} examples.")
    return part


def check_alike(first: NpyFile, other: NpyFile) -> None:
    """Raises unless two files hold examples of one shape and dtype."""
    if (other.shape, other.dtype) != (first.shape, first.dtype):
        raise UserError(
            f"{other.path} has examples of shape {other.shape} and dtype {other.dtype}; "
            f"{first.path} has shape {first.shape} and dtype {first.dtype}. They must be "
            "the same."
        )


def labels_of(paths: list[pathlib.Path], part: ExamplesOnDisk) -> np.ndarray | None:
    """Labels in the order of the examples, in memory; None if there are none."""
    beside = [path.with_name(f"{path.stem}{_LABELS}.npy") for path in paths]
    missing = [path for path in beside if not path.is_file()]
    if len(missing) == len(beside):
        return None
    if missing:
        raise UserError(
            f"there is no {missing[0]}, but other files have labels; save labels for "
            "all files of a part, or for none."
        )
    found = []
    for path, file in zip(beside, part.files, strict=True):
        labels = NpyFile(path)
        if (labels.count, labels.shape) != (file.count, ()):
            raise UserError(
                f"{labels.path} must hold one label for each of the {file.count} examples "
                f"in {file.path.name}; received shape {(labels.count, *labels.shape)}."
            )
        found.append(labels.whole())
    return np.concatenate(found)


def _held_out(count: int, notes: list[str]) -> np.ndarray:
    """Chooses the rows of the test set: those of data in memory, up to a maximum."""
    if count < 5:
        raise UserError(
            f"{count} examples are too few to hold out a test set. Use at least 5, or "
            "add files test-*.npy."
        )
    held = min(max(1, count // 5), _HELD_OUT_MOST)
    order = np.random.default_rng(HOLD_OUT_SEED).permutation(count)
    notes.append(f"{held} examples, drawn at random once, are the test set.")
    return np.sort(order[:held])


def _in_memory(
    name: str, examples: ExamplesOnDisk, rows: np.ndarray | None = None
) -> np.ndarray:
    rows = np.arange(len(examples)) if rows is None else rows
    size = 4 * len(rows) * math.prod(examples.shape[1:])
    if size > _PART_BYTES:
        raise UserError(
            f"{len(rows)} {name} examples take {size / 2**30:.1f} GiB, and test and "
            f"validation examples are held in memory, {_PART_BYTES // 2**30} GiB at "
            "most; use fewer."
        )
    return examples.read(rows)
