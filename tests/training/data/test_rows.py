"""Rows that are read a few at a time are those that are read at once."""

import pathlib

import numpy as np
import pytest

from kvae.training import UserError, binarize_once
from kvae.training.data.rows import binarized, checked, joined
from kvae.training.data.sources import ExamplesOnDisk
from kvae.training.data.sources.npy_file import NpyFile

CUTS = [slice(0, 5), slice(5, 6), slice(6, 30), slice(17, 40), slice(39, 99)]


@pytest.fixture
def x() -> np.ndarray:
    """(40, 3, 3): an odd number of entries, so rows begin within a random word."""
    return np.random.default_rng(0).random((40, 3, 3), dtype="float32")


def test_joined_parts_are_the_concatenation(x: np.ndarray) -> None:
    rows = joined([x[:7], x[7:7], x[7:18], x[18:]])
    assert len(rows) == 40
    for cut in [*CUTS, slice(0, 40), slice(40, 50), slice(9, 9)]:
        np.testing.assert_array_equal(rows[cut], x[cut])


def test_binarized_rows_are_those_of_the_whole_set(x: np.ndarray) -> None:
    """The random numbers of a row are found without drawing those before it."""
    whole, rows = binarize_once(x), binarized(x)
    for cut in CUTS:
        np.testing.assert_array_equal(rows[cut], whole[cut])
    again = binarized(joined([whole[:11], whole[11:]]))
    np.testing.assert_array_equal(again[3:33], whole[3:33])  # exact at 0 and 1


def test_binarizing_what_are_no_probabilities_names_the_examples(
    x: np.ndarray,
) -> None:
    rows = binarized(16 * x)
    with pytest.raises(UserError, match=r"examples 10 to 14 range over .* to 1"):
        rows[10:15]
    x[12] = np.nan
    with pytest.raises(UserError, match="examples 10 to 14 range over nan"):
        binarized(x)[10:15]


def test_slices_of_examples_on_disk_are_those_of_the_divided_array(
    x: np.ndarray, tmp_path: pathlib.Path
) -> None:
    pixels = (255 * x).astype("uint8")
    np.save(tmp_path / "a.npy", pixels[:13])
    np.save(tmp_path / "b.npy", pixels[13:])
    files = tuple(NpyFile(tmp_path / name) for name in ("a.npy", "b.npy"))
    rows = ExamplesOnDisk(files).divided_by(255)
    assert len(rows) == 40
    for cut in CUTS:
        expected = pixels[cut].astype("float32") / np.float32(255)
        np.testing.assert_array_equal(rows[cut], expected)


def test_every_batch_of_integers_is_compared_with_the_range(x: np.ndarray) -> None:
    rows = checked(x, 16, "photos")
    assert len(rows) == 40
    np.testing.assert_array_equal(rows[3:40], x[3:])
    x[12] = 15.9375
    np.testing.assert_array_equal(rows[0:12], x[:12])
    with pytest.raises(
        UserError, match="photos, examples 10 to 14: .* to 255, and are"
    ):
        rows[10:15]
    x[12] = -1 / 16
    with pytest.raises(UserError, match="range over -1 to"):
        rows[12:13]
