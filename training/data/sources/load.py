"""Loads data sources by name."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError, user_errors
from kvae.core.inputs import check_finite
from kvae.training.config.picture_size import size_of
from kvae.training.data.sources.array_file import ArrayFile
from kvae.training.data.sources.array_shards import ArrayShards
from kvae.training.data.sources.data_set import DataSet, Raw, prepare
from kvae.training.data.sources.digits import Digits
from kvae.training.data.sources.flowers import Flowers
from kvae.training.data.sources.image_folder import ImageFolder
from kvae.training.data.sources.picture import PictureOptions
from kvae.training.data.sources.source import Request, Source, is_run
from kvae.training.data.sources.table_file import TableFile
from kvae.training.data.sources.tfds_images import TfdsImages

SOURCES: list[Source] = [
    Digits(),
    Flowers(),
    ArrayShards(),
    ArrayFile(),
    TableFile(),
    ImageFolder(),
    TfdsImages(),
]
"""The kinds of data sources, in order; the first one that matches a name reads it."""


def load_data(
    source: str,
    data_dir: str | None = None,
    validation: float = 0.0,
    image_size: Any = None,
    pixel_max: float | None = None,
    resize: str = "crop",
    skip_unreadable: bool = False,
    columns: dict[str, str] | None = None,
) -> DataSet:
    """Loads a data set by name or path.

    Args:
        source: "digits" (bundled with scikit-learn), "flowers" (drawn by kvae), the path
            of a .npy, .npz, .csv, .tsv, or .parquet file, or of a folder of images or
            .npy files, or the name of an image data set of TFDS; `SOURCES` lists all
            kinds.
        data_dir: where TFDS keeps its data.
        validation: how many training examples to hold out, or a share if below 1.
        image_size: height and width in pixels to which images of a folder or of TFDS
            are scaled, (64, 48) or "64x48"; 64 means both.
        pixel_max: the maximum of integer pixels; None takes it from the data.
        resize: "crop" crops what is too long for that size; "stretch" changes the
            proportions.
        skip_unreadable: skip image files that can't be read.
        columns: kinds of a table's columns by name, instead of those found.

    Returns:
        data: split and scaled; in memory, except for the training examples of a folder
            of .npy files, or of a .npy file of more than 256 MiB, which stay on disk.

    Raises:
        UserError: if something is wrong with the source or its data, with what to do.
    """
    size = None if image_size is None else size_of(image_size)
    images = PictureOptions(size, resize, skip_unreadable=skip_unreadable)
    request = Request(data_dir, images, validation, pixel_max, columns)
    data = find_source(source).read(source, request)
    if isinstance(data, Raw):
        data = prepare(data, validation, pixel_max)
    for name in ("train", "validation", "test"):
        examples = getattr(data, name)
        in_memory = isinstance(examples, np.ndarray)
        if in_memory and data.schema is None:  # else before training, chunk by chunk
            with user_errors(f"{data.name}, {name} part"):
                check_finite(examples)
    return data


def find_source(source: str) -> Source:
    """Finds the kind of a data source.

    Args:
        source: as `load_data` takes it.

    Raises:
        UserError: if no kind matches.
    """
    for kind in SOURCES:
        if kind.matches(source):
            return kind
    path = pathlib.Path(source).expanduser()
    if path.is_file():
        raise UserError(
            f"{source} is not a supported file. Use .npy, .npz, .csv, .tsv, .parquet, "
            "or a folder of images or .npy files."
        )
    if is_run(path):
        raise UserError(f"{source} is a run of kvae train, not a folder of data.")
    raise UserError(f"there is no file or folder {source}; check the path.")


def located(source: str) -> str:
    """Makes the path of a data source absolute, so that it is found from anywhere.

    Args:
        source: as `load_data` takes it.

    Returns:
        source: unchanged, unless it is a path.
    """
    path = pathlib.Path(source).expanduser()
    if path.exists() and find_source(source).at_path:
        return str(path.resolve())
    return source
