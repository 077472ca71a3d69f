"""Files that are either complete or absent."""

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
    """A file could not be written; the previous file is unchanged."""


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path next to `path` to write to, and renames it if the block succeeds.

    If the process is killed or the disk fills up, the previous file is unchanged.
    `remove_litter` removes what a killed process left half written.

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
    """Returns the start of the hidden name under which this process writes a file."""
    return f".{name}.{os.getpid()}.partial"


@contextlib.contextmanager
def being_written(path: pathlib.Path) -> Iterator[None]:
    """Locks a file or folder while it is written, so that nobody removes it as litter.

    The system releases the lock when the process ends, however it ends. The process id
    in the name is less reliable, because another process may have the same id, for
    example in another container.
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
        folder: where they wrote. If it can't be read or written, nothing happens.
        name: what they wrote. If "", anything.
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
    """Writes a text file in UTF-8, all or nothing."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes a JSON file, all or nothing, with null for NaN and infinity."""
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
                f"the disk is full: {path} could not be written. The previous file, if "
                "any, is unchanged. Free some space or choose another --out."
            )
    return f"{path} could not be written: {error.strerror or error}"
