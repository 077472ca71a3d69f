"""An array in a .npy file, left on disk."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import resource
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from kvae.core.errors import UserError

_T = TypeVar("_T")


class NpyFile:
    """An open .npy file of examples: where its rows begin, their shape, and their dtype.

    The file stays open, so renaming or removing it does not disturb readers.

    Args:
        path: of a file with an array (N, *shape) of numbers.

    Attributes:
        path: of the file.
        count: N.
        shape: of one row.
        dtype: of the numbers.
        offset: bytes before the first row.
        descriptor: of the open file, for `os.pread`.

    Raises:
        UserError: if the file is damaged, holds objects or no rows of numbers, or is in
            Fortran order; or if the system refuses to open it.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        if path.is_fifo():  # opening it may take forever
            raise UserError(f"{path} is a pipe, not a file; remove it.")
        array = _load(path, mmap_mode="r")
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise UserError(
                f"{path} must hold numbers of 64 bits at most; its dtype is {array.dtype}."
            )
        if array.ndim == 0 or not array.flags.c_contiguous or not array.dtype.isnative:
            raise UserError(
                f"{path} doesn't hold its examples one after another in this machine's "
                "byte order; save it again: np.save(path, np.ascontiguousarray(x, "
                f"np.dtype(x.dtype.name))). It has shape {array.shape}."
            )
        self.count = len(array)
        self.shape = tuple(array.shape[1:])
        self.dtype = array.dtype
        self.offset = int(array.offset)
        self.descriptor = _opened(path, lambda: os.open(path, os.O_RDONLY))
        weakref.finalize(self, os.close, self.descriptor)

    def bytes_per_row(self) -> int:
        """The size of one row in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def whole(self) -> np.ndarray:
        """Reads all rows into memory."""
        return _load(self.path)


def _load(path: pathlib.Path, **how: Any) -> Any:
    try:
        return _opened(path, lambda: np.load(path, allow_pickle=False, **how))
    except UserError:
        raise
    except (OSError, ValueError, EOFError, TypeError, OverflowError) as error:
        if "Python objects" in str(error):
            raise UserError(
                f"{path} holds Python objects, which are never loaded because a file "
                "could run code that way. Save an array of numbers."
            ) from None
        # NumPy treats anything without its magic bytes as a pickle.
        reason = "it doesn't begin like one" if "allow_pickle" in str(error) else error
        raise UserError(
            f"{path} is damaged or not a .npy file ({reason}); write it again, or "
            "remove it."
        ) from error


def _opened(path: pathlib.Path, open_it: Callable[[], _T]) -> _T:
    """Opens a file; a refusal by the system says nothing about its contents."""
    try:
        try:
            return open_it()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            _allow_more_files()
            return open_it()
    except OSError as error:
        if error.errno is None:  # NumPy's error about the contents
            raise
        advice = (
            "Nothing was read, so the file may be whole. Check the file and the disk."
        )
        if error.errno in (errno.EMFILE, errno.ENFILE):
            advice = (
                "All files of a data set are open at once. Join them into fewer "
                "files, or have the limit raised (ulimit -Hn shows it)."
            )
        elif error.errno in (errno.EACCES, errno.EPERM):
            advice = "Grant this user permission to read it, and to enter its folder."
        raise UserError(
            f"{path} cannot be opened: {error.strerror}. {advice}"
        ) from error


def _allow_more_files() -> None:
    """Raises the limit on open files as far as allowed, often a thousandfold."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems have no number
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
