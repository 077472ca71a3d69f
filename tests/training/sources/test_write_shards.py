"""Data written as shards come back as they were; a folder is whole or not there."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kvae.training import load_data, write_shards
from kvae.training.errors import UserError

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


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"test": [X]}, "takes train and optionally"),
        ({"train": [X], "other": [X]}, "takes train and optionally"),
        ({"train": []}, "there are no train examples"),
        ({"train": [X, X[:, :2]]}, "must be alike"),
        ({"train": [X, (X, Y)]}, "must be alike"),
        ({"train": [(X, Y[:9])]}, "one for each of the 50"),
        ({"train": [Y]}, "must be numbers"),
    ],
)
def test_mistakes_leave_nothing_behind(
    tmp_path: pathlib.Path, parts: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        write_shards(tmp_path / "data", parts)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_untouched(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match="exists"):
        write_shards(tmp_path / "data", {"train": [X]})
    assert not list((tmp_path / "data").iterdir())
