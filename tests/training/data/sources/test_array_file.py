"""Arrays in files, good and bad."""

import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training.data.sources import load_data, read_array_file
from kvae.training.data.sources.npy_file import NpyFile

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 6, 5), dtype=np.uint8)


def save(folder: pathlib.Path, **arrays: np.ndarray) -> str:
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return str(path)


def test_a_single_array_is_split_and_scaled(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "x.npy", IMAGES)
    data = load_data(str(tmp_path / "x.npy"), validation=4)
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 10)
    assert data.shape == (6, 5)
    rows = np.concatenate([data.train, data.validation, data.test])
    wanted = np.float32(IMAGES) / np.float32(255)
    key = lambda x: sorted(map(tuple, x.reshape(50, -1).tolist()))  # noqa: E731
    assert key(rows) == key(wanted)
    assert data.pixel_range == (0.0, 1.0)
    assert any("divided by 255" in note for note in data.notes)
    assert any("is the test set: 10 examples" in note for note in data.notes)


def test_named_parts_and_labels_are_kept(tmp_path: pathlib.Path) -> None:
    path = save(
        tmp_path,
        x_train=IMAGES[:40],
        x_test=IMAGES[40:],
        y_train=np.arange(40),
        y_test=np.arange(40, 50),
    )
    data = load_data(path, validation=0.25)
    assert data.train_labels is not None
    assert data.validation_labels is not None
    assert data.test_labels is not None
    assert (len(data.train), len(data.validation)) == (30, 10)
    for part in ("train", "validation"):  # a label is the number of its image
        labels = getattr(data, f"{part}_labels")
        np.testing.assert_array_equal(
            getattr(data, part), IMAGES[labels] / np.float32(255)
        )
    np.testing.assert_array_equal(data.test, IMAGES[40:] / np.float32(255))


def test_floats_and_bits_are_left_alone(tmp_path: pathlib.Path) -> None:
    values = RNG.normal(size=(20, 3))
    data = load_data(save(tmp_path, train=values))
    assert data.train.min() < 0
    assert data.pixel_range[0] == pytest.approx(values.min())
    bits = load_data(save(tmp_path, train=(values > 0).astype("int64")))
    assert set(np.unique(bits.train)) == {0.0, 1.0}
    assert not any("divided" in note for note in bits.notes)


def test_pixel_max_overrides(tmp_path: pathlib.Path) -> None:
    counts = RNG.integers(0, 40, (20, 3))
    path = save(tmp_path, train=counts)
    assert load_data(path, pixel_max=1).train.max() == counts.max()
    assert load_data(path, pixel_max=40).train.max() < 1.0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train": np.zeros((0, 4))}, "holds no train examples"),
        ({"train": np.zeros(5)}, "must hold numbers"),
        ({"train": np.array([["a", "b"]] * 6)}, "must hold numbers"),
        ({"train": np.zeros((3, 4))}, "3 examples are too few"),
        ({"train": -np.ones((9, 4), int)}, "not a range of pixels"),
        ({"train": np.full((9, 4), np.nan)}, "NaN or infinite"),
        ({"train": np.full((9, 4), np.inf)}, "NaN or infinite"),
        ({"a": np.zeros((9, 4)), "b": np.zeros((9, 4))}, "holds the arrays a, b; name"),
        (
            {"train": np.zeros((9, 4)), "test": np.zeros((9, 5))},
            "they must be the same",
        ),
        ({"train": np.zeros((9, 4)), "y": np.zeros(8)}, "one label per example"),
    ],
)
def test_bad_contents_are_named(
    tmp_path: pathlib.Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_data(save(tmp_path, **arrays))


def test_bad_files_are_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read_array_file(tmp_path / "none.npy")
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(UserError, match="not a readable NumPy file"):
        read_array_file(bad)
    np.save(tmp_path / "cut.npy", IMAGES)
    whole = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a readable NumPy file"):
        read_array_file(tmp_path / "cut.npy")


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return pathlib.Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: pathlib.Path) -> None:
    trap = tmp_path / "trap"
    array = np.empty(1, object)
    array[0] = Evil(trap)
    np.save(tmp_path / "evil.npy", array, allow_pickle=True)
    (tmp_path / "raw.npy").write_bytes(pickle.dumps(Evil(trap)))
    for name in ("evil.npy", "raw.npy"):
        with pytest.raises(UserError, match="never loaded|not a readable NumPy"):
            read_array_file(tmp_path / name)
    assert not trap.exists()


def test_validation_cannot_take_all(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="leaves none of the 40 training examples"):
        load_data(save(tmp_path, train=IMAGES), validation=40)


@pytest.mark.parametrize("name", ["./none", "no/such/place", "file.txt"])
def test_paths_that_are_no_data(
    tmp_path: pathlib.Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no").mkdir()
    (tmp_path / "no" / "such").mkdir()
    (tmp_path / "file.txt").write_text("hello")
    with pytest.raises(
        UserError, match="there is no file or folder|is not a supported file"
    ):
        load_data(name)


def test_damage_anywhere_is_said_in_one_sentence(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "x.npz"
    np.savez_compressed(file, train=np.random.default_rng(0).normal(size=(20, 4)))
    good = file.read_bytes()
    refused = 0
    for at in range(0, len(good), 7):
        damaged = bytearray(good)
        damaged[at] ^= 0xFF
        file.write_bytes(bytes(damaged))
        try:
            read_array_file(file)
        except UserError:
            refused += 1
    assert refused > len(good) // 7 // 2


def npy(shape: tuple[int, ...], content: bytes = bytes(64)) -> bytes:
    """A .npy file whose header says any shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    padded = header.ljust(117) + "\n"
    return (
        b"\x93NUMPY\x01\x00"
        + len(padded).to_bytes(2, "little")
        + (padded.encode() + content)
    )


@pytest.mark.parametrize("shape", [(10**12, 4), (-1, 4), (2**62, 2**62), (17,)])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_headers_that_lie_are_refused_before_any_memory_is_taken(
    tmp_path: pathlib.Path, shape: tuple[int, ...], kind: str
) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(npy(shape))
    if kind == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("train.npy", npy(shape))
    with pytest.raises(UserError, match="header says shape"):
        read_array_file(path)


def test_members_that_are_not_arrays_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.npy", npy((4, 4)))
        archive.writestr("test.txt", "text")
    with pytest.raises(UserError, match="test.txt is not an array of examples"):
        read_array_file(path)
    np.savez(path, train=np.float32(3))
    with pytest.raises(UserError, match="train is not an array of examples"):
        read_array_file(path)


def test_an_archive_larger_than_memory_is_refused(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "x.npz", train=np.zeros((1000, 9)))
    monkeypatch.setattr(
        os, "sysconf", lambda name: 100
    )  # pages of 100 bytes, 100 of them
    with pytest.raises(UserError, match="more than the memory of this machine"):
        read_array_file(tmp_path / "x.npz")


def test_a_pipe_among_the_shards_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "train-0.npy")
    with pytest.raises(UserError, match="train-0.npy is a pipe"):
        NpyFile(tmp_path / "train-0.npy")
