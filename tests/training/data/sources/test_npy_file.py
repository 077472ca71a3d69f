"""Files that the system refuses are not called damaged, and many may be open."""

import contextlib
import errno
import os
import pathlib
import resource
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training.data.sources import npy_file
from kvae.training.data.sources.npy_file import NpyFile


@contextlib.contextmanager
def few_files(count: int) -> Iterator[int]:
    """No more than so many new descriptors, unless the limit is raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def paths(tmp_path: pathlib.Path) -> list[pathlib.Path]:
    found = [tmp_path / f"{i}.npy" for i in range(40)]
    for i, path in enumerate(found):
        np.save(path, np.full((2, 3), i))
    return found


def test_more_files_are_open_than_the_soft_limit(paths: list[pathlib.Path]) -> None:
    with few_files(20) as hard:
        files = [NpyFile(path) for path in paths]
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    assert len({file.descriptor for file in files}) == 40
    last = files[39]
    assert os.pread(last.descriptor, 8, last.offset) == np.int64(39).tobytes()


def test_too_many_open_files_are_no_damage(
    paths: list[pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the last descriptor is wanted, for the header or to stay open."""
    monkeypatch.setattr(npy_file, "_allow_more_files", lambda: None)
    for count in (20, 21):
        with few_files(count), pytest.raises(UserError) as caught:
            _ = [NpyFile(path) for path in paths]
        assert "Too many open files. All files of a data set" in str(caught.value)
        assert "damaged" not in str(caught.value)
        assert "remove" not in str(caught.value)


def circle(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to(path)


def folder(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(("spoil", "code"), [(circle, "ELOOP"), (folder, "EISDIR")])
def test_what_the_system_refuses_is_no_damage(
    paths: list[pathlib.Path], spoil: Callable[[pathlib.Path], None], code: str
) -> None:
    spoil(paths[0])
    reason = os.strerror(getattr(errno, code))
    with pytest.raises(
        UserError, match=f"0.npy cannot be opened: {reason}. Nothing"
    ) as e:
        NpyFile(paths[0])
    assert "remove" not in str(e.value)


@pytest.mark.parametrize(
    ("code", "advice"), [("EACCES", "permission to read"), ("EIO", "Check the file")]
)
def test_each_refusal_has_its_advice(
    paths: list[pathlib.Path], monkeypatch: pytest.MonkeyPatch, code: str, advice: str
) -> None:
    number = getattr(errno, code)

    def refusing(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(np, "load", refusing)
    with pytest.raises(UserError, match=advice) as caught:
        NpyFile(paths[0])
    assert os.strerror(number) in str(caught.value)
    assert "remove" not in str(caught.value)
