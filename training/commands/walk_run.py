"""The verbs interpolate and attribute: rows of pictures from a run's latents."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

import kvae
from kvae.core.errors import UserError, nearest, user_errors
from kvae.training.commands.output_paths import changed_data, new_file
from kvae.training.run.completion import read_images
from kvae.training.run.label_attributes import label_attributes, names_of_labels
from kvae.training.run.pictures import save_rows
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import load_run_data

_ROWS = 6  # of test examples, if no images are given


def interpolate(
    path: pathlib.Path,
    images: list[pathlib.Path],
    num: int = 9,
    arc: bool = False,
    out: pathlib.Path | None = None,
    data_dir: str | None = None,
) -> None:
    """Draws the pictures between two images, or between pairs of test examples.

    Args:
        path: of the run.
        images: two files, scaled if the run scales images; if empty, 6 pairs of test
            examples, a row each.
        num: pictures per row, both ends included.
        arc: follow an arc instead of a straight line.
        out: a .png or .npy file; in the run if None.
        data_dir: where TFDS keeps the data now; None if it has not moved.
    """
    if len(images) not in (0, 2):
        raise UserError(
            "kvae interpolate takes two images, or none for pairs of test examples; "
            f"received {len(images)}."
        )
    directory, vae = _open(path)
    curve = "spherical" if arc else "straight"
    out = new_file(out or directory.path / f"interpolated-{curve}-{num}.png")
    if images:
        ends = _read(images, vae, directory)
    else:
        ends = _test_examples(directory, data_dir, 2 * _ROWS)
    with user_errors():
        rows = kvae.interpolate(
            vae, ends[: len(ends) // 2], ends[len(ends) // 2 :], num, path=curve
        )
    save_rows(out, rows, directory.pixel_range())
    print(f"Saved {_rows(rows)} to {out}")


def attribute(
    path: pathlib.Path,
    name: str,
    images: list[pathlib.Path],
    strengths: tuple[float, ...] = (-1.0, 0.0, 1.0, 2.0),
    out: pathlib.Path | None = None,
    data_dir: str | None = None,
) -> None:
    """Draws images with more and less of an attribute, which is a label of the data.

    Args:
        path: of the run.
        name: a label by its name or number.
        images: files, scaled if the run scales images; if empty, 6 test examples.
        strengths: how much of the attribute to add, a column each.
        out: a .png or .npy file; in the run if None.
        data_dir: where TFDS keeps the data now; None if it has not moved.
    """
    directory, vae = _open(path)
    out = new_file(out or directory.path / f"attribute-{name.replace('/', '-')}.png")
    config = _config(directory, data_dir)
    data = load_run_data(config)
    if data.train_labels is None:
        raise UserError(
            f"{data.name} has no labels, so it is not known which examples have the "
            "attribute. Put images into one folder per class, or add train_labels to "
            "the .npz file."
        )
    names = names_of_labels(data)
    if name not in names:
        raise UserError(f"{data.name} has no label {name!r}. {nearest(name, names)}")
    if images:
        shown = _read(images, vae, directory)
    else:
        shown = np.asarray(data.test[:_ROWS])
    with user_errors():
        found = label_attributes(vae, data, config)
        pictures = found.apply(shown, name, list(strengths))
    save_rows(out, pictures, directory.pixel_range())
    columns = ", ".join(f"{strength:g}" for strength in strengths)
    print(f"Saved {_rows(pictures)} to {out}; strength of {name} by column: {columns}")


def _open(path: pathlib.Path) -> tuple[RunDirectory, Any]:
    directory = RunDirectory.open(path)
    vae = directory.load_model()
    if vae.condition is not None:
        raise UserError(
            f"the model of {path} is conditioned on {vae.condition}. In Python: "
            "kvae.interpolate and kvae.attribute_vectors take condition=."
        )
    return directory, vae


def _config(directory: RunDirectory, data_dir: str | None) -> Any:
    return dataclasses.replace(directory.read_config(), **changed_data(data_dir))


def _test_examples(
    directory: RunDirectory, data_dir: str | None, num: int
) -> np.ndarray:
    test = load_run_data(_config(directory, data_dir)).test
    if len(test) < 2:
        raise UserError("the run has fewer than two test examples; add two images.")
    return np.asarray(test[: min(num, len(test) // 2 * 2)])


def _rows(pictures: np.ndarray) -> str:
    rows, columns = pictures.shape[:2]
    return f"{rows} row{'s' if rows > 1 else ''} of {columns} pictures"


def _read(images: list[pathlib.Path], vae: Any, directory: RunDirectory) -> np.ndarray:
    shape, pixel_range = vae.data_shape, directory.pixel_range()
    return read_images(images, shape, pixel_range, directory.read_config())
