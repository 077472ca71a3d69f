"""Arrays in a .npy or .npz file."""

from __future__ import annotations

import math
import os
import pathlib
import zipfile
import zlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.sources.data_set import Raw
from kvae.training.data.sources.source import Request, Source

_NAMES = {
    "train": ("train", "x_train", "train_images", "x", "images", "data"),
    "test": ("test", "x_test", "test_images"),
    "validation": ("validation", "valid", "val", "x_val", "x_validation"),
}
_LABEL_NAMES = {
    "train": ("train_labels", "y_train", "labels", "y"),
    "test": ("test_labels", "y_test"),
    "validation": ("validation_labels", "y_val", "y_validation"),
}


_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)


class ArrayFile(Source):
    """A .npy or .npz file, by its path."""

    at_path = True

    def matches(self, name: str) -> bool:
        """Says whether the name ends in .npy or .npz."""
        return name.lower().endswith((".npy", ".npz"))

    def read(self, name: str, request: Request) -> Raw:
        """Reads it; see `read_array_file`."""
        del request
        return read_array_file(pathlib.Path(name).expanduser())


def read_array_file(path: pathlib.Path) -> Raw:
    """Reads examples from a NumPy file; pickled objects are never loaded.

    Args:
        path: a .npy file with one array, or a .npz file with one array, or with arrays
            named train (x_train, x, images, data), and optionally test, validation and
            labels (train_labels, y_train, y).

    Returns:
        raw: what the file holds.

    Raises:
        UserError: if the file is missing, damaged, holds objects, or has no array with
            a known name.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the path.")
    try:
        arrays = _load(path)
    except _DAMAGE as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{path} holds Python objects, which are never loaded because a file "
                "could run code that way. Save an array of numbers."
            ) from None
        raise UserError(f"{path} is not a readable NumPy file: {error}") from error
    train = _pick(arrays, _NAMES["train"])
    if train is None and len(arrays) == 1:
        (train,) = arrays.values()
    if train is None:
        raise UserError(
            f"{path} holds the arrays {', '.join(sorted(arrays)) or '(none)'}; name "
            "the training examples train, and optionally others test, validation and "
            "labels."
        )
    labels = {name: _pick(arrays, names) for name, names in _LABEL_NAMES.items()}
    raw = Raw(
        name=path.name,
        train=train,
        test=_pick(arrays, _NAMES["test"]),
        validation=_pick(arrays, _NAMES["validation"]),
        labels={name: value for name, value in labels.items() if value is not None},
    )
    _check_parts(path, raw)
    return raw


def _load(path: pathlib.Path) -> dict[str, np.ndarray]:
    _check_sizes(path)
    with path.open("rb") as file:  # NumPy leaves a damaged archive open
        loaded: Any = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"train": loaded}
        arrays = {name: loaded[name] for name in loaded.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            raise ValueError(f"{name} is not an array of examples")
    return arrays


def _check_sizes(path: pathlib.Path) -> None:
    """Raises if a header claims another size than the file has, or more than memory.

    NumPy allocates what a header claims before it reads any data.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            _check_header(file, path.stat().st_size)
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if size > memory:
            raise UserError(
                f"{path} unpacks to {size / 2**30:.1f} GiB, more than the memory of this "
                "machine. Save its arrays as .npy files in a folder; those are read a "
                "few rows at a time."
            )
        for member in members:
            with archive.open(member) as file:
                _check_header(file, member.file_size)


def _check_header(file: Any, size: int) -> None:
    magic = file.read(len(np.lib.format.MAGIC_PREFIX))
    if magic != np.lib.format.MAGIC_PREFIX:
        return  # which NumPy itself refuses, or returns as bytes
    major, _ = file.read(2)
    read = np.lib.format.read_array_header_1_0
    if major > 1:
        read = np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    wanted = math.prod(shape) * dtype.itemsize
    held = size - file.tell()
    if min(shape, default=1) < 0 or (not dtype.hasobject and wanted > held):
        raise ValueError(f"its header says shape {shape}, which the file does not hold")


def _pick(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _check_parts(path: pathlib.Path, raw: Raw) -> None:
    for name in ("test", "validation"):
        part = getattr(raw, name)
        if part is not None and part.shape[1:] != raw.train.shape[1:]:
            raise UserError(
                f"{path}: train has examples of shape {raw.train.shape[1:]} and {name} "
                f"of shape {part.shape[1:]}; they must be the same."
            )
    for name, values in raw.labels.items():
        part = getattr(raw, name)
        if part is None or values.shape[:1] != part.shape[:1]:
            count = "no" if part is None else len(part)
            raise UserError(
                f"{path}: the labels of {count} {name} examples have shape "
                f"{values.shape}; save one label per example."
            )
