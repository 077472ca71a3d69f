"""Checkpoints on disk: whole, few, and the last good one found."""

import errno
import logging
import os
import pathlib
import re
import resource
import signal
import zipfile

import numpy as np
import pytest

from kvae.core.atomic import WriteError
from kvae.core.errors import UserError
from kvae.training.checkpoint.checkpoint_folder import CheckpointFolder, Position

ARRAYS = [np.arange(6.0).reshape(2, 3), np.array(7, "int64"), np.zeros(0, "float32")]


def folder_with(path: pathlib.Path, count: int) -> CheckpointFolder:
    folder = CheckpointFolder(path)
    path.mkdir(exist_ok=True)
    for step in range(count):
        folder.save(Position(0, step), [a + step for a in ARRAYS], {"step": step})
    return folder


def test_the_last_two_stay_and_the_last_is_read(tmp_path: pathlib.Path) -> None:
    folder = folder_with(tmp_path / "c", 4)
    assert [path.stem for path in folder.files()] == [
        "000000-000000002",
        "000000-000000003",
    ]
    loaded = folder.load()
    assert loaded is not None
    position, arrays, facts = loaded
    assert position == Position(0, 3)
    assert facts["step"] == 3
    for found, wanted in zip(arrays, ARRAYS, strict=True):
        np.testing.assert_array_equal(found, wanted + 3)
        assert found.dtype == wanted.dtype


def test_an_empty_folder_has_none(tmp_path: pathlib.Path) -> None:
    assert CheckpointFolder(tmp_path / "none").load() is None
    with pytest.raises(ValueError, match="at least 2"):
        CheckpointFolder(tmp_path, keep=1)


@pytest.mark.slow
def test_any_changed_byte_is_noticed_or_harmless(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever byte of the file changes: what is read is right, or the one before."""
    path = folder_with(tmp_path / "a", 2).files()[-1]
    whole = path.read_bytes()
    noticed = 0
    for at in range(0, len(whole), 7):
        folder = folder_with(tmp_path / "a", 2)
        changed = bytearray(whole)
        changed[at] ^= 0xFF
        path.write_bytes(changed)
        loaded = folder.load()
        assert loaded is not None
        position, arrays, facts = loaded
        assert facts["step"] == position.step
        for found, wanted in zip(arrays, ARRAYS, strict=True):
            np.testing.assert_array_equal(found, wanted + position.step)
        noticed += position.step == 0
    assert noticed > 50


@pytest.mark.parametrize("length", [0, 10, -1, -30])
def test_a_cut_checkpoint_is_named_and_the_one_before_is_taken(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, length: int
) -> None:
    folder = folder_with(tmp_path / "c", 3)
    last = folder.files()[-1]
    last.write_bytes(last.read_bytes()[:length])
    with caplog.at_level(logging.WARNING, "kvae"):
        loaded = folder.load()
    assert loaded is not None
    assert loaded[0] == Position(0, 1)
    assert f"{last} is damaged" in caplog.text
    # What is written next must not push the good one out for the damaged one.
    folder.save(Position(0, 2), ARRAYS, {})
    assert [path.stem[-1] for path in folder.files()] == ["1", "2"]


def test_if_all_are_damaged_it_is_said(tmp_path: pathlib.Path) -> None:
    folder = folder_with(tmp_path / "c", 2)
    for path in folder.files():
        path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="all 2 checkpoints .* are damaged"):
        folder.load()


def test_a_write_that_fails_half_way_leaves_the_last_good_one(
    tmp_path: pathlib.Path,
) -> None:
    """The system itself refuses after 20 kB, as a full disk or a quota does."""
    folder = folder_with(tmp_path / "c", 2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(WriteError, match="was not written"):
            folder.save(Position(1, 0), [np.ones(100_000)], {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    loaded = folder.load()
    assert loaded is not None
    assert loaded[0] == Position(0, 1)
    assert not list((tmp_path / "c").glob(".*"))


def test_a_full_disk_is_said(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(tmp_path / "c", 1)

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(WriteError, match="the disk is full"):
        folder.save(Position(0, 9), ARRAYS, {})
    assert folder.files()[-1].stem == "000000-000000000"


def test_what_a_killed_process_left_is_removed(tmp_path: pathlib.Path) -> None:
    folder = folder_with(tmp_path / "c", 1)
    (tmp_path / "c" / ".000000-000000005.123.partial.npz").write_bytes(b"half")
    folder.clean()
    assert [path.name for path in (tmp_path / "c").iterdir()] == [
        "000000-000000000.npz"
    ]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_what_the_system_refuses_is_not_called_damaged(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Both checkpoints are whole, and are read once the system lets them be."""
    folder = folder_with(tmp_path / "c", 2)
    names = [path.name for path in folder.files()]

    def refused(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(zipfile, "ZipFile", refused)
        with pytest.raises(OSError, match=re.escape(os.strerror(number))):
            folder.load()
    assert [path.name for path in folder.files()] == names
    loaded = folder.load()
    assert loaded is not None
    assert loaded[0] == Position(0, 1)
