"""One process per run directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from kvae.core.atomic import WriteError
from kvae.core.errors import UserError


@contextlib.contextmanager
def run_lock(path: pathlib.Path) -> Iterator[None]:
    """Holds a lock file while the block runs.

    The system releases the lock when the process ends, however it ends; a file that is
    left behind locks nothing.

    Args:
        path: of the lock file; its folder is created.

    Raises:
        UserError: if another process holds it.
        WriteError: if it cannot be created.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WriteError(f"{path} cannot be created: {error.strerror}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(file, 20, 0).decode("ascii", "replace").strip()
            raise UserError(
                f"{path.parent.parent} is in use by another process (number "
                f"{owner or 'unknown'}); wait for it, end it, or choose another folder."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)
