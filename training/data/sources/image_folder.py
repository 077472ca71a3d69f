"""A folder of image files."""

from __future__ import annotations

import collections
import concurrent.futures
import logging
import os
import pathlib
import time
from collections.abc import Sequence

import numpy as np

from kvae.core.errors import UserError
from kvae.training.data.sources.data_set import Raw
from kvae.training.data.sources.picture import (
    AS_THEY_ARE,
    Picture,
    PictureOptions,
    Unreadable,
    read_picture,
    with_16_bits,
    with_channels,
)
from kvae.training.data.sources.source import Request, Source, is_run

_LOG = logging.getLogger("kvae")

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
_PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val"),
}
_FEW_SIZES = 4  # of images, which a message lists one by one
_READERS = 4  # files that are decoded at the same time
_MEMORY_SHARE = 0.5  # share of this machine's memory for the images as float32


class ImageFolder(Source):
    """A folder of images, by its path."""

    at_path = True

    def matches(self, name: str) -> bool:
        """Returns whether the name is that of a folder, and not of a run."""
        path = pathlib.Path(name).expanduser()
        return path.is_dir() and not is_run(path)

    def read(self, name: str, request: Request) -> Raw:
        """Reads it; see `read_image_folder`."""
        return read_image_folder(pathlib.Path(name).expanduser(), request.images)


def read_image_folder(path: pathlib.Path, options: PictureOptions = AS_THEY_ARE) -> Raw:
    """Reads every image below a folder, in the order of their names.

    If the folder holds the folders train and test (and validation), these are the
    parts. If all images are one folder deeper, the folders are the labels. Images are
    gray if all are, else RGB, and have 16 bits if one has.

    Args:
        path: the folder. Files and folders whose names begin with a dot are ignored.
        options: how the images are scaled; without a size, all must have the same size.

    Returns:
        raw: uint8 or uint16 images (N, H, W, 1) or (N, H, W, 3), with the names of
            their files.

    Raises:
        UserError: if there is no image, one cannot be read, sizes differ, or the images
            are too large for memory.
        MissingExtra: if Pillow is not installed.
    """
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; check the path.")
    roots = _parts(path)
    notes: list[str] = []
    files = {name: _image_files(root, notes) for name, root in roots.items()}
    pictures = _read_all(path, files, options, notes)
    everything = [picture for read in pictures.values() for picture in read]
    _check_sizes(path, everything, options)
    notes.insert(0, _described(everything, options))
    channels = options.channels or max(p.pixels.shape[-1] for p in everything)
    deep = any(picture.pixels.dtype == np.uint16 for picture in everything)

    def stacked(read: list[Picture]) -> np.ndarray:
        arrays = [with_channels(picture.pixels, channels) for picture in read]
        return np.stack([with_16_bits(a) if deep else a for a in arrays])

    arrays = {name: stacked(read) for name, read in pictures.items()}
    label_names, labels = _folder_labels(roots, files, notes)
    return Raw(
        name=path.name,
        train=arrays["train"],
        test=arrays.get("test"),
        validation=arrays.get("validation"),
        labels=labels,
        label_names=label_names,
        files={
            name: np.array([_text(file.relative_to(path)) for file in listed])
            for name, listed in files.items()
        },
        notes=tuple(notes),
    )


def _text(path: pathlib.Path) -> str:
    """Turns a path into text that can be written anywhere, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "replace")


def _parts(path: pathlib.Path) -> dict[str, pathlib.Path]:
    found = {
        part: [path / name for name in names if (path / name).is_dir()]
        for part, names in _PARTS.items()
    }
    if not found["train"]:
        return {"train": path}
    for part, folders in found.items():
        if len(folders) > 1:
            raise UserError(
                f"{path} holds the folders {' and '.join(f.name for f in folders)}, "
                f"both for the {part} part; keep only one."
            )
    return {part: folders[0] for part, folders in found.items() if folders}


def _image_files(root: pathlib.Path, notes: list[str]) -> list[pathlib.Path]:
    def refuse(error: OSError) -> None:
        raise UserError(
            f"{error.filename} cannot be read: {error.strerror}. Its images would be "
            "missing, so grant this user permission to read it, or move it elsewhere."
        ) from error

    files: list[pathlib.Path] = []
    others: collections.Counter[str] = collections.Counter()
    seen: set[str] = set()
    for folder, below, names in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = [name for name in below if not name.startswith(".")]
        if real in seen:  # links may form circles
            below.clear()
            continue
        seen.add(real)
        for name in names:
            file = pathlib.Path(folder, name)
            if name.startswith("."):
                continue
            if file.suffix.lower() in _SUFFIXES and file.is_file():
                files.append(file)
            else:
                others[file.suffix.lower() or "without a suffix"] += 1
    if not files:
        raise UserError(
            f"the folder {root} holds no images ({', '.join(_SUFFIXES)}); check the "
            "path."
        )
    if others:
        kinds = ", ".join(kind for kind, _ in others.most_common(4))
        notes.append(f"files of other kinds ignored: {sum(others.values())} ({kinds}).")
    return sorted(files)


def _read_all(
    path: pathlib.Path,
    files: dict[str, list[pathlib.Path]],
    options: PictureOptions,
    notes: list[str],
) -> dict[str, list[Picture]]:
    """Reads all parts; skipped files also disappear from the lists of files."""
    total = sum(map(len, files.values()))
    failed: list[tuple[pathlib.Path, Unreadable]] = []
    done, size, said = 0, 0, time.monotonic()

    def read(file: pathlib.Path) -> Picture | Unreadable:
        try:
            return read_picture(file, options)
        except Unreadable as error:
            return error

    pictures: dict[str, list[Picture]] = {}
    readers = concurrent.futures.ThreadPoolExecutor(_READERS)
    try:
        for part, listed in files.items():
            kept, pictures[part] = [], []
            for file, found in zip(listed, readers.map(read, listed), strict=True):
                done += 1
                if isinstance(found, Unreadable):
                    failed.append((file, found))
                else:
                    kept.append(file)
                    pictures[part].append(found)
                    size += found.pixels.size
                if done == min(100, total):
                    _check_memory(path, size // max(1, done - len(failed)) * total)
                if time.monotonic() - said > 10:
                    _LOG.info("%s: %d of %d images read", path.name, done, total)
                    said = time.monotonic()
            files[part] = kept
    finally:
        readers.shutdown(cancel_futures=True)
    if failed and not options.skip_unreadable:
        rest = len(failed) - 1
        more = f" The same is true of {rest} more of {total} files." if rest else ""
        them = "them" if rest else "it"
        raise UserError(
            f"{failed[0][1]}{more} Repair or remove {them}, or add --skip-unreadable to "
            f"skip {them}."
        )
    if failed:
        notes.append(_skipped(path, [file for file, _ in failed]))
    for part, read_pictures in pictures.items():
        if not read_pictures:
            raise UserError(f"no image of the {part} part of {path} can be read.")
    return pictures


def _skipped(path: pathlib.Path, failed: Sequence[pathlib.Path]) -> str:
    shown = ", ".join(str(file.relative_to(path)) for file in failed[:3])
    more = ", ..." if len(failed) > 3 else ""
    return f"skipped as unreadable ({len(failed)}): {shown}{more}."


def _check_memory(path: pathlib.Path, numbers: int) -> None:
    needed = 4 * numbers  # as float32
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > _MEMORY_SHARE * memory:
        raise UserError(
            f"the images of {path} take about {needed / 2**30:.0f} GiB, and this machine "
            f"has {memory / 2**30:.0f}. Scale them, for example --size 64x64."
        )


def _check_sizes(
    path: pathlib.Path, pictures: list[Picture], options: PictureOptions
) -> None:
    sizes = collections.Counter(picture.size for picture in pictures)
    if options.size is not None or len(sizes) == 1:
        return
    if len(sizes) <= _FEW_SIZES:
        counts = [f"{_size(size)} ({count})" for size, count in sizes.most_common()]
        found = f"{len(sizes)} sizes: {', '.join(counts)}"
    else:
        heights, widths = zip(*sizes, strict=True)
        (common, count), *_ = sizes.most_common(1)
        found = (
            f"{len(sizes)} sizes: heights from {min(heights)} to {max(heights)} and "
            f"widths from {min(widths)} to {max(widths)}, most often {_size(common)} "
            f"({count} of {len(pictures)})"
        )
    raise UserError(
        f"the images of {path} have {found}. Sizes are height x width in pixels. A model "
        "takes one size: choose it, for example --size 64x64. --resize crop crops what is "
        "too long; --resize stretch changes the proportions."
    )


def _described(pictures: list[Picture], options: PictureOptions) -> str:
    """Says in one line what the images are and what was done to them."""
    gray = sum(picture.pixels.shape[-1] == 1 for picture in pictures)
    colored = len(pictures) - gray
    channels = options.channels or (3 if colored else 1)
    done = []
    if channels == 3 and gray:
        done.append(f"{gray} gray, repeated in each channel")
    if channels == 1 and colored:
        done.append(f"{colored} in color, made gray")
    clear = sum(picture.transparent for picture in pictures)
    if clear:
        done.append(f"{clear} with transparent pixels, on a white background")
    frames = sum(picture.frames > 1 for picture in pictures)
    if frames:
        done.append(f"{frames} with several frames, the first read")
    deep = sum(picture.pixels.dtype == np.uint16 for picture in pictures)
    if deep:
        done.append(f"{deep} with 16 bits per channel")
    shape = pictures[0].pixels.shape[:2]
    changed = [picture.size for picture in pictures if picture.size != shape]
    if changed:
        loss = _loss(changed, shape, options)
        done.append(f"{len(changed)} scaled to this size{loss}")
    text = (
        f"{len(pictures)} {'color' if channels == 3 else 'gray'} images of {_size(shape)} "
        "pixels (height x width)"
    )
    return f"{text}: {'; '.join(done)}." if done else f"{text}."


def _loss(
    sizes: list[tuple[int, int]], shape: tuple[int, ...], options: PictureOptions
) -> str:
    """Says what scaling costs the image with the least fitting shape."""
    wanted = shape[0] / shape[1]
    ratios = [height / width / wanted for height, width in sizes]
    worst = max(max(ratio, 1 / ratio) for ratio in ratios)
    if worst < 1.01:
        return ""
    if options.resize == "crop":
        return f", cropped by up to {100 * (1 - 1 / worst):.0f} %"
    return f", proportions changed by up to {100 * (worst - 1):.0f} %"


def _size(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"


def _folder_labels(
    roots: dict[str, pathlib.Path],
    files: dict[str, list[pathlib.Path]],
    notes: list[str],
) -> tuple[tuple[str, ...] | None, dict[str, np.ndarray]]:
    relative = {n: [f.relative_to(roots[n]) for f in files[n]] for n in roots}
    depths = {len(file.parts) for listed in relative.values() for file in listed}
    if depths != {2}:
        if 2 in depths:
            notes.append(
                "some images are in folders and others are not, or are deeper, so "
                "folders are not used as labels."
            )
        return None, {}
    names = sorted({f.parts[0] for listed in relative.values() for f in listed})
    labels = {
        part: np.array([names.index(f.parts[0]) for f in listed], np.int64)
        for part, listed in relative.items()
    }
    return tuple(names), labels
