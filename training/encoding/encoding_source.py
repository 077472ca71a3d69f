"""The examples that `kvae encode` reads: all of a source, in its own order."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.pixel_scale import PixelScale
from kvae.training.data.rows import Rows, binarized, checked, joined, mapped
from kvae.training.data.sources import DataSet, Raw, Request, find_source
from kvae.training.data.sources.array_shards import (
    check_alike,
    files_of_parts,
    holds_arrays,
    labels_of,
    open_part,
)
from kvae.training.data.sources.data_set import check_numbers
from kvae.training.data.sources.picture import AS_THEY_ARE, PictureOptions

_LOG = logging.getLogger("kvae")

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class EncodingSource:
    """Rows of a data source, its parts one after the other.

    Attributes:
        name: for messages.
        x: (N, *shape), float32 once read.
        labels: (N,), or None.
        parts: how many rows each part has, in order; "all" if the source has no parts.
        divisor: the number that the source's values are divided by.
        label_names: one per label value, or None.
        files: the name of each row's file, (N,), or None.
    """

    name: str
    x: Rows
    labels: Rows | None
    parts: dict[str, int]
    divisor: float = 1.0
    label_names: tuple[str, ...] | None = None
    files: Rows | None = None

    def texts(self) -> dict[str, Rows]:
        """The texts of each row: its part, the name of its label, its file."""
        found: dict[str, Rows] = {}
        names, ends = np.array(list(self.parts)), np.cumsum(list(self.parts.values()))
        if names.tolist() != ["all"]:
            found["part"] = mapped(
                range(len(self.x)),
                lambda rows: names[np.searchsorted(ends, rows, side="right")],
            )
        if self.labels is not None and self.label_names is not None:
            of_labels = np.array(self.label_names)
            found["label_name"] = mapped(self.labels, lambda labels: of_labels[labels])
        if self.files is not None:
            found["file"] = self.files
        return found

    @classmethod
    def of(
        cls,
        data: DataSet,
        part: str | None,
        drawn: tuple[str, ...] = PARTS,
        known: PixelScale | None = None,
    ) -> EncodingSource:
        """Takes one part of the data set that a run was trained on, or all.

        Args:
            data: loaded.
            part: train, validation or test; all, in this order, if None.
            drawn: the parts whose pixels are already binarized, or must not be.
            known: the scale of pixels in training; None if unknown.

        Raises:
            UserError: if there is no such part, only some parts have labels, or the
                data are scaled differently than in training.
        """
        known, dtype = known or PixelScale(), np.dtype(data.dtype)
        if dtype.kind in "iu" and known.divisor not in (None, data.divisor):
            raise UserError(
                f"{data.name} has changed: its {dtype} values were divided by "
                f"{known.divisor:g} in training and would now be divided by "
                f"{data.divisor:g}; add --data to encode other examples than those of "
                "the run."
            )
        rows = {p: getattr(data, p) for p in PARTS if len(getattr(data, p))}
        labels = {p: getattr(data, f"{p}_labels") for p in rows}
        check = known.checks(dtype)
        taken = _chosen(data.name, rows, labels, part, drawn, data.divisor, check)
        return dataclasses.replace(
            taken, label_names=data.label_names, files=_files(data.files, taken.parts)
        )

    @classmethod
    def open(
        cls,
        source: str,
        part: str | None = None,
        binarize: bool = False,
        data_dir: str | None = None,
        images: PictureOptions = AS_THEY_ARE,
        known: PixelScale | None = None,
    ) -> EncodingSource:
        """Opens a source by name or path, in its own order, without holding out examples.

        Args:
            source: as `load_data` takes it; .npy files stay on disk.
            part: train, validation or test, if the source has it; all if None.
            binarize: draw pixels from probabilities, once, from a fixed seed.
            data_dir: where TFDS keeps its data.
            images: how image files of a folder are read.
            known: the scale of pixels in training; None if unknown.

        Raises:
            UserError: if the source can't be read, doesn't have the part, or has labels
                that don't match.
        """
        known = known or PixelScale()
        path, kind = pathlib.Path(source).expanduser(), find_source(source)
        if kind.at_path and holds_arrays(path, any_size=True):
            raw, divisor, rows, labels = _on_disk(path, known)
        else:
            read = kind.read(source, Request(data_dir, images))
            if isinstance(read, DataSet):
                return cls.of(read, part, () if binarize else PARTS, known)
            raw = read
            for note in raw.notes:
                _LOG.info("%s: %s", raw.name, note)
            divisor, rows = _in_memory(raw, known)
            labels = raw.labels
        drawn, check = () if binarize else PARTS, known.checks(raw.train.dtype)
        taken = _chosen(raw.name, rows, labels, part, drawn, divisor, check)
        taken = dataclasses.replace(
            taken, label_names=raw.label_names, files=_files(raw.files, taken.parts)
        )
        if part is None and list(taken.parts) == ["train"]:
            return dataclasses.replace(taken, parts={"all": len(taken.x)})
        return taken


def _chosen(
    name: str,
    rows: dict[str, Any],
    labels: dict[str, np.ndarray],
    part: str | None,
    drawn: tuple[str, ...],
    divisor: float,
    check: bool,
) -> EncodingSource:
    if part is not None and part not in rows:
        raise UserError(f"{name} has no {part} part; it has {', '.join(rows)}.")
    names = [p for p in rows if part in (None, p)]
    labeled = [p for p in names if labels.get(p) is not None]
    if labeled and labeled != names:
        without = next(p for p in names if p not in labeled)
        raise UserError(
            f"{name} has labels for its {labeled[0]} part but not for its {without} "
            "part; add labels for all, or encode one part at a time with --part."
        )
    # Before pixels are drawn, because after that all are 0 or 1.
    read = {
        p: checked(rows[p], divisor, f"{name}, {p} part") if check else rows[p]
        for p in names
    }
    return EncodingSource(
        name,
        joined([read[p] if p in drawn else binarized(read[p]) for p in names]),
        joined([labels[p] for p in labeled]) if labeled else None,
        {p: len(rows[p]) for p in names},
        divisor,
    )


def _files(files: dict[str, np.ndarray], parts: dict[str, int]) -> Rows | None:
    return joined([files[part] for part in parts]) if files else None


def _on_disk(
    path: pathlib.Path, known: PixelScale
) -> tuple[Raw, float, dict[str, Any], dict[str, Any]]:
    files = files_of_parts(path)
    parts = {p: open_part(p, files[p]) for p in PARTS if p in files}
    first = next(iter(parts.values()))
    for examples in parts.values():
        check_alike(first.files[0], examples.files[0])
    samples = {
        p: examples.read(examples.sample_rows()) for p, examples in parts.items()
    }
    raw = Raw(path.name, next(iter(samples.values())))
    divisor = known.divisor_of(raw, samples)
    rows = {p: examples.divided_by(divisor) for p, examples in parts.items()}
    if path.is_file():
        return raw, divisor, rows, {}
    return raw, divisor, rows, {p: labels_of(files[p], parts[p]) for p in parts}


def _in_memory(raw: Raw, known: PixelScale) -> tuple[float, dict[str, Any]]:
    arrays = {p: getattr(raw, p) for p in PARTS if getattr(raw, p) is not None}
    for part, array in arrays.items():
        check_numbers(raw.name, part, array)
    divisor = known.divisor_of(raw, arrays)
    scale = np.float32(divisor)
    return divisor, {
        p: x.astype("float32") / scale if divisor != 1 else x.astype("float32")
        for p, x in arrays.items()
    }
