"""Rows of examples on disk are those of an array, and nothing else is taken for rows."""

import pathlib

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training.data.sources import ExamplesOnDisk
from kvae.training.data.sources.npy_file import NpyFile

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (43, 6, 5), dtype=np.uint8)


@pytest.fixture
def whole(tmp_path: pathlib.Path) -> ExamplesOnDisk:
    """43 images in four files."""
    paths = [tmp_path / f"{i}.npy" for i in range(4)]
    for path, images in zip(paths, np.split(IMAGES, [10, 11, 30]), strict=True):
        np.save(path, images)
    return ExamplesOnDisk(tuple(NpyFile(path) for path in paths))


def test_rows_are_those_of_numpy_in_any_order_and_view(whole: ExamplesOnDisk) -> None:
    gone = np.array([0, 1, 9, 10, 29, 42])
    more = np.array([3, 4, 36])
    view = whole.without(gone).without(more)
    expected = np.delete(np.delete(IMAGES, gone, axis=0), more, axis=0)
    assert view.shape == expected.shape
    assert len(expected) == 34
    for rows in (np.arange(34), RNG.integers(0, 34, 100), np.arange(33, -1, -2)):
        np.testing.assert_array_equal(view.read(rows), expected[rows])
    assert view.read(np.zeros(0, int)).shape == (0, 6, 5)
    chunks = np.concatenate([x for _, x in view.divided_by(255).chunks()])
    np.testing.assert_array_equal(chunks, np.float32(expected) / np.float32(255))


def test_an_array_of_all_is_refused_and_rows_are_as_of_one(
    whole: ExamplesOnDisk,
) -> None:
    np.testing.assert_array_equal(whole[3], whole[:4][-1])
    assert len(list(whole)) == 43
    with pytest.raises(IndexError, match="from 0 to 42, .*; received 43 to 43"):
        whole[43]
    with pytest.raises(
        UserError, match="on disk and aren't read into memory as a whole"
    ):
        np.asarray(whole)


def test_rows_are_chosen_as_numpy_chooses_them(whole: ExamplesOnDisk) -> None:
    examples = whole.divided_by(255)
    x = np.float32(IMAGES) / np.float32(255)
    fives = np.arange(43) % 7 == 5
    for rows in (
        *(fives, fives.tolist(), ~fives & fives, -1, np.int64(-43), np.uint8(3)),
        *(slice(-3, None), [-1, 0, -43], np.array([1, 42], np.uint64), []),
    ):
        np.testing.assert_array_equal(examples[rows], x[rows])
    for rows, message in (
        (fives[1:], "choosing among 43 examples needs 43 booleans; received 42"),
        (np.array([1.0, 2.0]), "dtype float64"),
        (np.array(["a"]), "dtype <U1"),
        (True, r"shape \(\), dtype bool"),
        (np.zeros((2, 2), int), r"shape \(2, 2\)"),
        ((0, 1), "can only be indexed by rows"),
        (-44, "from -43 to -1 counted from the end; received -44 to -44"),
        ([0, 43], "received 0 to 43"),
        (np.array([2**64 - 1], np.uint64), "received 18446744073709551615"),
    ):
        with pytest.raises(IndexError, match=message):
            examples[rows]


def test_every_label_is_in_the_sample(tmp_path: pathlib.Path) -> None:
    labels = np.zeros(30_000, int)
    labels[17] = 4
    np.save(tmp_path / "x.npy", np.zeros((30_000, 2), np.uint8))
    rows = ExamplesOnDisk((NpyFile(tmp_path / "x.npy"),)).sample_rows(labels)
    assert 17 in rows
    assert 10_000 <= len(rows) <= 10_002
