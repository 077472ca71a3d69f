"""The examples that `kvae encode` goes through: all of a source, in its own order."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import Any

import numpy as np

from kvae.training.errors import UserError, user_errors
from kvae.training.rows import Rows, binarised, joined, rows_of
from kvae.training.sources import (
    DataSet,
    ExamplesOnDisk,
    Raw,
    load_data,
    read_array_file,
    read_image_folder,
)
from kvae.training.sources.data_set import scale
from kvae.training.sources.npy_file import NpyFile

_LOG = logging.getLogger("kvae")

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class EncodingSource:
    """Rows of a data source, its parts one behind the other.

    Attributes:
        name: for people.
        x: (N, *shape) float32 when read.
        labels: (N,), or None.
        parts: how many rows each part has, in their order; "all" where the source has
            no parts.
    """

    name: str
    x: Rows
    labels: Rows | None
    parts: dict[str, int]

    @classmethod
    def of(
        cls, data: DataSet, part: str | None, drawn: tuple[str, ...] = PARTS
    ) -> EncodingSource:
        """Takes one part of a data set, or all.

        Args:
            data: loaded.
            part: train, validation or test; all, in this order, if None.
            drawn: the parts whose pixels are not to be binarised, or are already.

        Raises:
            UserError: if there is no such part.
        """
        found = {p: getattr(data, p) for p in PARTS if len(getattr(data, p))}
        if part is not None and part not in found:
            raise UserError(
                f"{data.name} has no {part} part; it has {', '.join(found)}."
            )
        chosen = {p: rows_of(v) for p, v in found.items() if part in (None, p)}
        labels = [getattr(data, f"{p}_labels") for p in chosen]
        return cls(
            data.name,
            joined([v if p in drawn else binarised(v) for p, v in chosen.items()]),
            None if any(known is None for known in labels) else joined(labels),
            {name: len(value) for name, value in chosen.items()},
        )

    @classmethod
    def open(
        cls,
        source: str,
        part: str | None = None,
        binarise: bool = False,
        data_dir: str | None = None,
        image_size: int | None = None,
        pixel_max: float | None = None,
    ) -> EncodingSource:
        """Opens a source by name or path, without holding a part of it out for tests.

        Args:
            source: as `load_data` takes it; .npy files stay on disk.
            part: train, validation or test, of a source that has them; all if None.
            binarise: draw pixels from probabilities, once, from a fixed seed.
            data_dir: where TFDS keeps its data.
            image_size: side in pixels to which images from a folder are scaled.
            pixel_max: what integer pixels reach; None takes it from the data.

        Raises:
            UserError: if the source cannot be read, or has no such part.
        """
        path = pathlib.Path(source).expanduser()
        if path.suffix.lower() == ".npy" or (path.is_dir() and _plain_arrays(path)):
            found = _on_disk(path, pixel_max)
        elif path.suffix.lower() == ".npz":
            found = _whole(read_array_file(path), pixel_max)
        elif path.is_dir() and source != "digits" and not any(path.glob("*.npy")):
            found = _whole(read_image_folder(path, image_size), pixel_max)
        else:
            found = load_data(source, data_dir, pixel_max=pixel_max)
        taken = cls.of(found, part, () if binarise else PARTS)
        if part is None and list(taken.parts) == ["train"]:
            return dataclasses.replace(taken, parts={"all": len(taken.x)})
        return taken


def _plain_arrays(path: pathlib.Path) -> list[pathlib.Path]:
    """The .npy files of a folder with no test or validation part, in their order."""
    files = sorted(path.glob("*.npy"))
    if any(file.stem.startswith(PARTS[1:]) for file in files):
        return []
    return [file for file in files if not file.stem.endswith("-labels")]


def _on_disk(path: pathlib.Path, pixel_max: float | None) -> DataSet:
    if path.is_file():
        return _data_set(path, [path], pixel_max)
    if path.is_dir():
        return _data_set(path, _plain_arrays(path), pixel_max)
    raise UserError(f"there is no file {path}; check the path.")


def _data_set(
    path: pathlib.Path, files: list[pathlib.Path], pixel_max: float | None
) -> DataSet:
    examples = ExamplesOnDisk(tuple(NpyFile(file) for file in files))
    kinds = {(file.shape, file.dtype) for file in examples.files}
    if len(kinds) > 1:
        raise UserError(f"the files in {path} differ in shape or dtype: {kinds}.")
    if not len(examples):
        raise UserError(f"{path} holds no examples.")
    sample = examples.read(examples.sample_rows())
    notes: list[str] = []
    _, divisor, _ = scale(Raw(path.name, sample), {"train": sample}, pixel_max, notes)
    _tell(path.name, notes)
    beside = [file.with_name(f"{file.stem}-labels.npy") for file in files]
    labels = None
    if path.is_dir() and all(file.is_file() for file in beside):
        labels = np.concatenate([np.load(file, allow_pickle=False) for file in beside])
    none = np.zeros((0, *examples.shape[1:]), "float32")
    train = examples.divided_by(divisor)
    return DataSet(path.name, train, none, none, train_labels=labels)


def _whole(raw: Raw, pixel_max: float | None) -> DataSet:
    arrays = {part: getattr(raw, part) for part in PARTS}
    notes: list[str] = []
    with user_errors(raw.name):
        scaled, _, _ = scale(raw, arrays, pixel_max, notes)
    _tell(raw.name, notes)
    none = np.zeros((0, *raw.train.shape[1:]), "float32")
    fields: dict[str, Any] = {part: scaled.get(part, none) for part in PARTS}
    fields |= {f"{part}_labels": raw.labels.get(part) for part in PARTS}
    return DataSet(raw.name, **fields)


def _tell(name: str, notes: list[str]) -> None:
    for note in notes:
        _LOG.info("%s: %s", name, note)
