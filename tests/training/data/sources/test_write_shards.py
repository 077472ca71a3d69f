"""Data written as shards come back as they were; a folder is whole or not there."""

import importlib
import os
import pathlib
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kvae.core.atomic import being_written
from kvae.core.errors import UserError
from kvae.training import load_data, write_shards

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (50, 4, 3), dtype=np.uint8)
Y = RNG.integers(0, 5, 50)


def batches(size: int, labels: bool = True) -> Iterator[Any]:
    for first in range(0, 50, size):
        x = X[first : first + size]
        yield (x, Y[first : first + size]) if labels else x


@pytest.mark.parametrize("size", [1, 7, 50])
def test_what_is_written_is_read(tmp_path: pathlib.Path, size: int) -> None:
    parts = {"train": batches(size), "test": batches(size)}
    folder = write_shards(tmp_path / "a" / "data", parts, rows=20)
    names = [f"train-0000{i}{s}.npy" for i in range(3) for s in ("", "-labels")]
    assert sorted(path.name for path in folder.glob("train-*")) == sorted(names)
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    data = load_data(str(folder))
    assert data.train_labels is not None
    np.testing.assert_array_equal(data.train.read(np.arange(50)), X)
    np.testing.assert_array_equal(data.train_labels, Y)
    np.testing.assert_array_equal(data.test, np.float32(X) / np.float32(255))


def test_batches_are_taken_as_they_are_wanted(tmp_path: pathlib.Path) -> None:
    """When a shard is written, only the batches up to it have been asked for."""

    def watched() -> Iterator[np.ndarray]:
        for i in range(5):
            written = list(tmp_path.glob(".data*/train-*.npy"))
            assert len(written) == i * 10 // 20
            yield X[10 * i : 10 * i + 10]

    write_shards(tmp_path / "data", {"train": watched()}, rows=20)
    assert len(list((tmp_path / "data").iterdir())) == 3


def test_a_batch_may_be_filled_anew_for_the_next(tmp_path: pathlib.Path) -> None:
    x, y = np.empty((7, 3)), np.empty(7, int)

    def reusing() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for i in range(5):
            x[:] = i
            y[:] = i
            yield x, y

    folder = write_shards(tmp_path / "data", {"train": reusing()}, rows=20)
    expected = np.repeat(np.arange(5), 7)
    for i, rows in enumerate((slice(0, 20), slice(20, 35))):
        labels = np.load(folder / f"train-0000{i}-labels.npy")
        np.testing.assert_array_equal(labels, expected[rows])
        written = np.load(folder / f"train-0000{i}.npy")
        np.testing.assert_array_equal(written, np.tile(expected[rows, None], 3))


@pytest.mark.parametrize("size", [100, 400_000])
def test_memory_is_that_of_one_shard(tmp_path: pathlib.Path, size: int) -> None:
    """A file takes 1 MB; 40 of them come in batches small, or as one that takes none."""
    batch = np.broadcast_to(np.uint8(3), (size, 100))
    many = (batch for _ in range(400_000 // size))
    tracemalloc.start()
    write_shards(tmp_path / "data", {"train": many}, rows=10_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1.0e6 < peak < 1.5e6
    assert len(list((tmp_path / "data").iterdir())) == 40


def test_a_file_is_of_some_bytes_where_rows_are_not_given(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("kvae.training.data.sources.write_shards")
    assert module._SHARD_BYTES == 256 * 2**20
    for size, count in ((20 * X[0].nbytes, 3), (1, 50)):  # one row, however large
        monkeypatch.setattr(module, "_SHARD_BYTES", size)
        empty_first = [X[:0], X]
        folder = write_shards(tmp_path / str(size), {"train": empty_first})
        shards = [np.load(path) for path in sorted(folder.iterdir())]
        assert len(shards) == count
        np.testing.assert_array_equal(np.concatenate(shards), X)


def test_rows_in_another_order_of_bytes_or_axes_can_be_read(
    tmp_path: pathlib.Path,
) -> None:
    x = np.asfortranarray(X.astype(">f4"))
    folder = write_shards(tmp_path / "data", {"train": [(x, Y.astype(">i8"))]})
    data = load_data(str(folder))
    assert data.train_labels is not None
    held = np.concatenate([data.train_labels, data.test_labels])
    np.testing.assert_array_equal(np.sort(held), np.sort(Y))


def test_what_another_process_writes_is_untouched(tmp_path: pathlib.Path) -> None:
    """Processes in two containers may have one number."""
    folder = tmp_path / "data"
    theirs = tmp_path / f".data.{os.getpid()}.partial.1"
    theirs.mkdir()
    with being_written(theirs):
        write_shards(folder, {"train": [X]})
        assert theirs.exists()
    folder.rename(tmp_path / "other")
    write_shards(folder, {"train": [X]})  # and no longer: it was litter
    assert not theirs.exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"test": [X]}, "takes train and optionally"),
        ({"train": [X], "other": [X]}, "takes train and optionally"),
        ({"train": []}, "there are no train examples"),
        ({"train": [X, X[:, :2]]}, "must agree"),
        ({"train": [X, (X, Y)]}, "must agree"),
        ({"train": [(X, Y[:9])]}, "one for each of the 50"),
        ({"train": [Y]}, "must be numbers"),
        ({"train": [X.astype("c16")]}, "must be numbers"),
        ({"train": [X.astype("g")]}, "64 bits at most"),
        (
            {"train": [(X, Y, Y)]},
            "a pair of an array and labels; received a tuple of 3",
        ),
        ({"train": [(X, Y.astype(str))]}, "labels of train must be numbers.*dtype <U"),
        ({"train": [(X, Y.astype(object))]}, "labels of train must be numbers"),
    ],
)
def test_mistakes_leave_nothing_behind(
    tmp_path: pathlib.Path, parts: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        write_shards(tmp_path / "data", parts)
    assert not list(tmp_path.iterdir())


def test_a_file_that_no_memory_holds_is_refused(tmp_path: pathlib.Path) -> None:
    for rows in (2**50, 2**63, 10**400):
        with pytest.raises(UserError, match="GiB of memory.*use fewer rows"):
            write_shards(tmp_path / "data", {"train": [X]}, rows=rows)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_untouched(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match="exists"):
        write_shards(tmp_path / "data", {"train": [X]})
    assert not list((tmp_path / "data").iterdir())
