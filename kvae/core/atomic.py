"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any


class WriteError(OSError):
    """A file could not be written; what stood there before still stands."""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a path to write beside `path`, and renames it when the block ends well.

    A process that is killed, or a disk that fills up, leaves the previous file as it
    was. What a killed process left half written, `remove_litter` removes.

    Args:
        path: the file to make or replace.

    Yields:
        beside: a path in the same folder with the same suffix.

    Raises:
        WriteError: if the system refuses, with the reason in words.
    """
    path = pathlib.Path(path)
    beside = path.with_name(partial_prefix(path.stem) + path.suffix)
    try:
        beside.touch()
        with being_written(beside):
            yield beside
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise WriteError(_explain(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def partial_prefix(name: str) -> str:
    """How the hidden name begins under which this process writes something."""
    return f".{name}.{os.getpid()}.partial"


@contextlib.contextmanager
def being_written(path: pathlib.Path) -> Iterator[None]:
    """Locks a file or folder while it is written, so that it is not taken for litter.

    The system lets go of the lock when the process ends, however it ends. The number in
    the name tells less: another process, or one in another container, may have it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove_litter(folder: pathlib.Path, name: str = "") -> None:
    """Removes what killed processes left half written.

    Args:
        folder: where they wrote; one that cannot be read or written stays as it is.
        name: of what they wrote; anything if "".
    """
    form = re.compile(rf"\.{re.escape(name) or '.+'}\.\d+\.partial(\..*)?")
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if form.fullmatch(path.name):
                _remove_unlocked(path)


def _remove_unlocked(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
        descriptor = os.open(path, flags)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        finally:
            os.close(descriptor)


def _flush_folder(path: pathlib.Path) -> None:
    # Without it a power cut may undo the rename.
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file whole, in UTF-8."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file whole; NaN and infinity, which JSON lacks, become null."""
    text = json.dumps(_finite(value), indent=2, allow_nan=False)
    write_text(path, text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value not in (0.0,) and value - value != 0.0:
        return None
    return value


def _explain(path: pathlib.Path, error: OSError) -> str:
    # h5py reports a full disk without errno, so the disk itself is asked.
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or free < 1 << 20:
            return (
                f"the disk is full: {path} could not be written, and what stood there "
                "before still stands. Free some space or choose another --out."
            )
    return f"{path} could not be written: {error.strerror or error}"
