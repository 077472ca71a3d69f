"""A folder of image files."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.errors import UserError
from kvae.core.extras import require
from kvae.training.data.sources.data_set import Raw

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def read_image_folder(path: pathlib.Path, image_size: int | None = None) -> Raw:
    """Reads every image below a folder, in the order of their names.

    Where the folder holds the folders train and test (and validation), these are the
    parts. Where all images lie one folder deeper, the folders are the labels. Images
    are grey if all are, else RGB.

    Args:
        path: the folder.
        image_size: side in pixels to which each image is scaled and cropped; None takes
            them as they are and wants all of one size.

    Returns:
        raw: uint8 images (N, H, W, 1) or (N, H, W, 3).

    Raises:
        UserError: if there is no image, one cannot be read, or sizes differ.
        MissingExtra: if Pillow is not installed.
    """
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; check the path.")
    image = require("PIL.Image", "reading image files")
    names = [n for n in ("train", "test", "validation") if (path / n).is_dir()]
    roots = {n: path / n for n in names} if "train" in names else {"train": path}
    files = {name: _image_files(root) for name, root in roots.items()}
    opened = {
        name: [_open(image, file, image_size) for file in listed]
        for name, listed in files.items()
    }
    grey = all(i.mode == "L" for images in opened.values() for i in images)
    first = (files["train"][0], opened["train"][0])
    arrays = {
        name: _stack(files[name], images, grey, first)
        for name, images in opened.items()
    }
    label_names, labels = _folder_labels(roots, files)
    return Raw(
        name=path.name,
        train=arrays["train"],
        test=arrays.get("test"),
        validation=arrays.get("validation"),
        labels=labels,
        label_names=label_names,
    )


def _image_files(root: pathlib.Path) -> list[pathlib.Path]:
    files = sorted(
        file
        for file in root.rglob("*")
        if file.suffix.lower() in _SUFFIXES and file.is_file()
    )
    if not files:
        raise UserError(
            f"the folder {root} holds no images ({', '.join(_SUFFIXES)}); check the "
            "path."
        )
    return files


def _open(image: Any, file: pathlib.Path, image_size: int | None) -> Any:
    try:
        with image.open(file) as opened:
            check_depth(opened, file)
            loaded = opened.convert("L" if _is_grey(opened) else "RGB")
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        raise UserError(
            f"{file} cannot be read as an image ({error}); remove or repair it."
        ) from error
    if image_size is None:
        return loaded
    ops = require("PIL.ImageOps", "reading image files")
    return ops.fit(loaded, (image_size, image_size))


def _is_grey(opened: Any) -> bool:
    return opened.mode in ("1", "L", "LA")


def check_depth(opened: Any, file: pathlib.Path) -> None:
    """Raises UserError for more than 8 bits a channel, which Pillow would cut off."""
    if opened.mode.startswith(("I", "F")):
        raise UserError(
            f"{file} holds grey levels of 16 bits or more (mode {opened.mode}), and images "
            "are read with 8. Save it with 8 bits, or all of them as one .npy array."
        )


def _stack(
    files: list[pathlib.Path],
    images: list[Any],
    grey: bool,
    first: tuple[pathlib.Path, Any],
) -> np.ndarray:
    for file, image in zip(files, images, strict=True):
        if image.size != first[1].size:
            raise UserError(
                f"images must be of one size: {first[0]} is {first[1].size[0]}x"
                f"{first[1].size[1]} and {file} is {image.size[0]}x{image.size[1]} "
                "pixels; scale them all with --set image_size=64."
            )
    arrays = [np.asarray(i if grey else i.convert("RGB")) for i in images]
    stacked = np.stack(arrays)
    return stacked[..., None] if grey else stacked


def _folder_labels(
    roots: dict[str, pathlib.Path], files: dict[str, list[pathlib.Path]]
) -> tuple[tuple[str, ...] | None, dict[str, np.ndarray]]:
    relative = {n: [f.relative_to(roots[n]) for f in files[n]] for n in roots}
    if any(len(f.parts) != 2 for listed in relative.values() for f in listed):
        return None, {}
    names = sorted({f.parts[0] for listed in relative.values() for f in listed})
    labels = {
        part: np.array([names.index(f.parts[0]) for f in listed], np.int64)
        for part, listed in relative.items()
    }
    return tuple(names), labels
