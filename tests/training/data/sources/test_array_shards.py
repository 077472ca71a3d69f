"""Data sets that stay on disk: the same batches as in memory, of which little is read."""

import itertools
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support import small

from kvae.core.errors import UserError
from kvae.training import load_data, training_batches
from kvae.training.data.sources import ExamplesOnDisk, array_shards, read_array_shards

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (53, 6, 5), dtype=np.uint8)
LABELS = RNG.integers(0, 7, 53)


def shards(folder: pathlib.Path, x: np.ndarray, ends: Any, part: str = "train") -> None:
    folder.mkdir(exist_ok=True)
    for i, (x_i, y_i) in enumerate(
        zip(np.split(x, ends), np.split(LABELS[: len(x)], ends), strict=True)
    ):
        np.save(folder / f"{part}-{i:03}.npy", x_i)
        np.save(folder / f"{part}-{i:03}-labels.npy", y_i)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    shards(tmp_path / "data", IMAGES[:43], [10, 11, 30])
    shards(tmp_path / "data", IMAGES[43:], [4], "test")
    return tmp_path / "data"


@pytest.mark.parametrize("binarize", [False, True])
@pytest.mark.parametrize("first", [0, 7])
def test_batches_are_those_of_memory_bit_for_bit(
    folder: pathlib.Path, binarize: bool, first: int
) -> None:
    """Four shards, a ragged last batch, labels; from the start and from the middle."""
    data = load_data(str(folder), validation=0)
    assert isinstance(data.train, ExamplesOnDisk)
    in_memory = np.float32(IMAGES[:43]) / np.float32(255)
    for x, y in ((data.train, data.train_labels), (in_memory, LABELS[:43])):
        given = training_batches(x, 8, 3, binarize, condition=y, first_batch=first)
        taken = list(itertools.islice(given, 14))
        if isinstance(x, ExamplesOnDisk):
            from_disk = taken
    for one, other in zip(from_disk, taken, strict=True):
        np.testing.assert_array_equal(one["x"], other["x"])
        np.testing.assert_array_equal(one["condition"], other["condition"])
    assert {len(batch["x"]) for batch in taken} == {8, 3}


@pytest.mark.parametrize("dtype", ["float16", "float64", "bool", "uint16", "int32"])
def test_other_numbers_are_cast_as_in_memory(
    tmp_path: pathlib.Path, dtype: str
) -> None:
    x = IMAGES.astype(dtype) if dtype != "bool" else IMAGES > 99
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "on_disk").mkdir()
    np.save(tmp_path / "on_disk" / "x.npy", x)
    memory = load_data(str(tmp_path / "x.npy"), validation=5)
    disk = load_data(str(tmp_path / "on_disk"), validation=5)
    for part in ("test", "validation"):
        np.testing.assert_array_equal(getattr(memory, part), getattr(disk, part))
    assert disk.pixel_range == memory.pixel_range
    np.testing.assert_array_equal(disk.train[:], memory.train)
    pairs = (training_batches(data.train, 7, seed=0) for data in (memory, disk))
    for one, other in itertools.islice(zip(*pairs, strict=True), 12):
        np.testing.assert_array_equal(one, other)


def test_only_the_rows_of_batches_are_read(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 43 examples, from batch 3 on: what the pipeline may have ahead, no more."""
    data = load_data(str(folder), validation=0)
    read: list[int] = []
    plain = ExamplesOnDisk.read

    def counting(self: ExamplesOnDisk, rows: np.ndarray) -> np.ndarray:
        read.extend(rows.tolist())
        return plain(self, rows)

    monkeypatch.setattr(ExamplesOnDisk, "read", counting)
    batches = training_batches(data.train, 1, seed=0, first_batch=20)
    iterator = iter(batches)
    taken = [next(iterator).numpy() for _ in range(3)]
    del iterator
    assert len(taken) == 3
    assert 3 <= len(read) <= 3 + 2 + 2 + 4 + 4  # queues of reading, casting, prefetch
    everything = [b.numpy() for b in training_batches(data.train, 1, seed=0).take(23)]
    np.testing.assert_array_equal(everything[20:], taken)


def test_a_large_file_stays_on_disk_and_is_split_as_in_memory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npy"
    np.save(path, IMAGES)
    memory = load_data(str(path), validation=0.1)
    monkeypatch.setattr(array_shards, "IN_MEMORY_BYTES", IMAGES.nbytes)
    disk = load_data(str(path), validation=0.1)
    assert isinstance(disk.train, ExamplesOnDisk)
    for part in ("test", "validation"):
        np.testing.assert_array_equal(getattr(memory, part), getattr(disk, part))
    np.testing.assert_array_equal(disk.train[:], memory.train)


def test_held_out_labels_follow_their_examples(tmp_path: pathlib.Path) -> None:
    x = np.repeat(LABELS.astype("uint8")[:, None] * 30, 4, axis=1)
    shards(tmp_path / "data", x, [20])
    data = load_data(str(tmp_path / "data"), validation=6)
    assert (len(data.train), len(data.test), len(data.validation)) == (37, 10, 6)
    train = data.train.read(np.arange(37))
    parts = {
        "train": train,
        "test": data.test * 255,
        "validation": data.validation * 255,
    }
    for part, examples in parts.items():
        labels = getattr(data, f"{part}_labels")
        np.testing.assert_array_equal(np.round(examples[:, 0]), labels * 30)


def test_parts_held_in_memory_do_not_grow_with_the_examples(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", np.zeros((120_000, 2), np.uint8))
    data = load_data(str(tmp_path / "a"), validation=0.5)
    assert (len(data.train), len(data.test), len(data.validation)) == (
        100_000,
        10_000,
        10_000,
    )
    asked = load_data(str(tmp_path / "a"), validation=20_000)
    assert len(asked.validation) == 20_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_shards, "_PART_BYTES", 4 * 2 * 20_000 - 1)
        with pytest.raises(UserError, match="20000 validation examples take"):
            load_data(str(tmp_path / "a"), validation=20_000)


def cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def objects(path: pathlib.Path) -> None:
    np.save(path, np.array([{}, 3], object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("train-001", cut, "train-001.npy is damaged or not a .npy file"),
        ("train-001", lambda p: p.write_bytes(b""), "is damaged or not a .npy file"),
        (
            "train-001",
            lambda p: p.write_bytes(b"text"),
            "is damaged or not a .npy file",
        ),
        ("train-001", objects, "holds Python objects"),
        ("train-001", lambda p: np.save(p, np.array(["a"])), "must hold numbers"),
        (
            "train-001",
            lambda p: np.save(p, IMAGES[:1].astype("f4")),
            "train-001.npy has examples of shape .6, 5. and dtype float32; .*train-000",
        ),
        (
            "train-002",
            lambda p: np.save(p, IMAGES[:19, :4]),
            r"shape \(4, 5\) and dtype",
        ),
        ("test-000", lambda p: np.save(p, IMAGES[:4, :4]), "test-001.npy has examples"),
        (
            "train-000",
            lambda p: np.save(p, np.asfortranarray(IMAGES[:10])),
            "one after another",
        ),
        (
            "train-000",
            lambda p: np.save(p, IMAGES[:10].astype(">f4")),
            "one after another",
        ),
        ("train-003", lambda p: np.save(p, IMAGES[:9]), "one label for each of the 9"),
        ("train-003-labels", pathlib.Path.unlink, "there is no .*train-003-labels.npy"),
        ("train-003", pathlib.Path.unlink, "but train-003.npy is missing"),
        ("other", lambda p: np.save(p, IMAGES), "other.npy belongs to no part"),
    ],
)
def test_damaged_and_mismatched_files_are_named(
    folder: pathlib.Path, name: str, spoil: Any, message: str
) -> None:
    spoil(folder / f"{name}.npy")
    with pytest.raises(UserError, match=message):
        load_data(str(folder))


def test_folders_without_examples_are_named(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "test-0.npy", IMAGES)
    with pytest.raises(UserError, match="holds no training examples"):
        load_data(str(tmp_path))
    np.save(tmp_path / "train-0.npy", IMAGES[:0])
    with pytest.raises(UserError, match="holds no train examples"):
        read_array_shards(tmp_path)
    np.save(tmp_path / "train-0.npy", np.arange(9))
    with pytest.raises(UserError, match="must hold .N, D. vectors"):
        read_array_shards(tmp_path)


def test_a_file_that_shrinks_ends_reading_with_its_name(folder: pathlib.Path) -> None:
    data = load_data(str(folder), validation=0)
    with (folder / "train-002.npy").open("rb+") as file:
        file.truncate(200)
    with pytest.raises(UserError, match="train-002.npy ends before its last example"):
        data.train.read(np.arange(43))
    with pytest.raises(tf.errors.OpError):
        list(training_batches(data.train, 8, seed=0).take(6))
    assert "has been shortened" in str(data.train.failures[0])


@pytest.mark.slow
def test_a_process_ends_while_batches_are_read_ahead(folder: pathlib.Path) -> None:
    """Without care the iterator waits for reads, and they for an interpreter gone."""
    code = (
        "import sys, time\n"
        "from kvae.training import ExamplesOnDisk, load_data, training_batches\n"
        "plain = ExamplesOnDisk.read\n"
        "def slow(self, rows):\n"
        "    time.sleep(0.02)\n"
        "    return plain(self, rows)\n"
        "data = load_data(sys.argv[1])\n"
        "ExamplesOnDisk.read = slow\n"
        "batches = iter(training_batches(data.train, 2, seed=0))\n"
        "print(next(batches).shape)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=small.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "(2, 6, 5)\n"


@pytest.mark.slow
def test_iterators_that_are_left_neither_hang_nor_crash(folder: pathlib.Path) -> None:
    """Reading threads need the interpreter; whoever drops an iterator holds it."""
    data = load_data(str(folder), validation=0)
    batches = training_batches(data.train, 8, seed=0).take(2)
    for _ in range(50):
        for batch in batches:
            assert batch.shape == (8, 6, 5)
