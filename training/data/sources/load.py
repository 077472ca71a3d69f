"""From the name of a data source to the data."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError, user_errors
from kvae.core.inputs import check_finite
from kvae.training.config.picture_size import size_of
from kvae.training.data.sources.array_file import read_array_file
from kvae.training.data.sources.array_shards import holds_arrays, read_array_shards
from kvae.training.data.sources.data_set import DataSet, Raw, prepare
from kvae.training.data.sources.digits import read_digits
from kvae.training.data.sources.image_folder import read_image_folder
from kvae.training.data.sources.picture import AS_THEY_ARE, PictureOptions
from kvae.training.data.sources.source_names import is_run
from kvae.training.data.sources.tfds_images import read_tfds


def load_data(
    source: str,
    data_dir: str | None = None,
    validation: float = 0.0,
    image_size: Any = None,
    pixel_max: float | None = None,
    resize: str = "crop",
    skip_unreadable: bool = False,
) -> DataSet:
    """Loads a data set by name or path.

    Args:
        source: "digits" (bundled with scikit-learn), the path of a .npy or .npz file or
            of a folder of images or .npy files, or the name of an image data set of
            TFDS.
        data_dir: where TFDS keeps its data.
        validation: how many training examples to keep aside, or which share if below 1.
        image_size: height and width in pixels to which images from a folder are scaled,
            (64, 48) or "64x48"; 64 is both.
        pixel_max: what integer pixels reach; None takes it from the data.
        resize: "crop" cuts off what is too long for that size; "stretch" changes the
            proportions.
        skip_unreadable: pass over image files that cannot be read.

    Returns:
        data: split and scaled; in memory, but for the training examples of a folder of
            .npy files, or of a .npy file of more than 256 MiB, which stay on disk.

    Raises:
        UserError: with what to do, whatever is wrong with the source or its data.
    """
    path = pathlib.Path(source).expanduser()
    if source != "digits" and holds_arrays(path):
        data = read_array_shards(path, validation, pixel_max)
    else:
        size = None if image_size is None else size_of(image_size)
        images = PictureOptions(size, resize, skip_unreadable=skip_unreadable)
        data = prepare(read_raw(source, data_dir, images), validation, pixel_max)
    for name in ("train", "validation", "test"):
        examples = getattr(data, name)
        if isinstance(examples, np.ndarray):  # else before training, chunk by chunk
            with user_errors(f"{data.name}, {name} part"):
                check_finite(examples)
    return data


def read_raw(
    source: str,
    data_dir: str | None = None,
    images: PictureOptions = AS_THEY_ARE,
) -> Raw:
    """Reads a source into memory as it is, neither split nor scaled.

    Args:
        source: as `load_data` takes it.
        data_dir: where TFDS keeps its data.
        images: how image files of a folder are read.

    Raises:
        UserError: if it cannot be read.
    """
    if source == "digits":
        return read_digits()
    path = pathlib.Path(source).expanduser()
    if path.suffix.lower() in (".npy", ".npz"):
        return read_array_file(path)
    if path.is_dir() and not is_run(path):
        return read_image_folder(path, images)
    if path.is_file():
        raise UserError(
            f"{source} is a file of a kind that is not read: give .npy, .npz or a "
            "folder of images or .npy files."
        )
    if "/" in source and path.is_dir():
        raise UserError(f"{source} is a run of kvae train, not a folder of data.")
    if "/" in source and (source.startswith(("/", ".", "~")) or path.parent.is_dir()):
        raise UserError(f"there is no file or folder {source}; check the path.")
    return read_tfds(source, data_dir)
