"""Files and folders that are either complete or absent."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

# What TensorFlow's own writers raise for a full or forbidden disk.
_OF_TENSORFLOW = (
    tf.errors.ResourceExhaustedError,
    tf.errors.PermissionDeniedError,
    tf.errors.OutOfRangeError,
)


class WriteError(OSError):
    """A file could not be written; the previous file is unchanged."""


@contextlib.contextmanager
def explained(path: pathlib.Path) -> Iterator[None]:
    """Turns errors of the operating system in this block into one sentence.

    Args:
        path: what is being written. If the block fails, it removes what it wrote.

    Raises:
        WriteError: with the system's reason.
    """
    try:
        yield
    except (FileExistsError, WriteError):
        raise
    except (OSError, *_OF_TENSORFLOW) as error:
        raise WriteError(
            f"{path} was not written, and what was there before is unchanged: "
            f"{_reason(path, error)}. Free some space, or choose another place."
        ) from error


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a path next to `path` to write to, and renames it if the block succeeds.

    If the process is killed or the disk fills up, the previous file is unchanged.
    `remove_litter` removes the half-written files of a killed process.

    Args:
        path: the file to make or replace.

    Yields:
        beside: a path in the same folder with the same suffix.

    Raises:
        WriteError: if the system refuses, with its reason in words.
    """
    path = pathlib.Path(path)
    beside = path.with_name(partial_prefix(path.stem) + path.suffix)
    try:
        with explained(path):
            beside.touch()
            with being_written(beside):
                yield beside
                with beside.open("rb+") as file:
                    os.fsync(file.fileno())
                beside.replace(path)
            _flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def staged(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a hidden directory beside `path`, which gets its name if the block succeeds.

    A block that fails leaves nothing. A process that is killed leaves the hidden
    directory at most, `.NAME.PID.partial.*`, which the next one removes.

    Args:
        path: of the directory; must not exist.

    Yields:
        stage: where to write.

    Raises:
        FileExistsError: if the name is taken, or was taken meanwhile.
        WriteError: with the system's reason.
    """
    path = check_new(path)
    with explained(path):
        remove_litter(path.parent, path.name)
        prefix = f"{partial_prefix(path.name)}."
        stage = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        try:
            with being_written(stage):
                yield stage
                stage.chmod(0o755)
                check_new(path)  # a rename would replace an empty directory
                os.rename(stage, path)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise


def write_new(path: pathlib.Path, content: bytes) -> None:
    """Writes a new file, whose name appears only once all of it is on the disk.

    Raises:
        FileExistsError: if the name is taken.
        WriteError: with the system's reason.
    """
    prefix = f"{partial_prefix(path.name)}."
    with explained(path):
        descriptor, partial = tempfile.mkstemp(prefix=prefix, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(partial, 0o644)
            os.link(partial, path)  # unlike a rename it never replaces a file
        finally:
            os.unlink(partial)


def check_new(path: Any) -> pathlib.Path:
    """Makes sure that a path is free and that its parent can be written.

    Args:
        path: of what is to be written.

    Returns:
        path: absolute; its parent exists.

    Raises:
        FileExistsError: if something is there; it is never overwritten.
        WriteError: if the parent cannot be created or is not writable.
    """
    path = pathlib.Path(path).absolute()
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists. Choose a new name, or remove it first.")
    make_folder(path.parent)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise WriteError(f"{path.parent} is not writable. Choose a writable directory.")
    return path


def make_folder(path: pathlib.Path) -> None:
    """Makes a folder and those above it, unless they are there.

    Raises:
        WriteError: with the system's reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"{path} cannot be created ({error.strerror}). Choose another place."
        ) from error


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
    """Removes the half-written files of killed processes.

    Args:
        folder: where they wrote. If it can't be read or written, nothing happens.
        name: of the file or folder that they wrote. If "", any name.
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


def _reason(path: pathlib.Path, error: Exception) -> str:
    # h5py reports a full disk without errno, so the disk itself is asked.
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or free < 1 << 20:
            return "the disk is full"
    # TensorFlow's errors end with the system's reason.
    return getattr(error, "strerror", None) or str(error).rpartition("; ")[2]
