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
    """An open .npy file of examples: where its rows begin, and of what kind they are.

    The file stays open, so renaming or removing it does not disturb who reads it.

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
        UserError: if the file is damaged, holds objects or no rows of numbers, or keeps
            its rows apart (Fortran order); or if the system refuses to open it.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        if path.is_fifo():  # to open it may take forever
            raise UserError(f"{path} is a pipe, not a file; remove it.")
        array = _load(path, mmap_mode="r")
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise UserError(
                f"{path} must hold numbers of 64 bits at most; its dtype is {array.dtype}."
            )
        if array.ndim == 0 or not array.flags.c_contiguous or not array.dtype.isnative:
            raise UserError(
                f"{path} does not keep its examples one after another in this machine's "
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
        """How many bytes one row takes."""
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
        # NumPy takes whatever does not begin as one of its files for a pickle.
        reason = "it begins as none" if "allow_pickle" in str(error) else error
        raise UserError(
            f"{path} is damaged or no .npy file ({reason}); write it again, or remove it."
        ) from error


def _opened(path: pathlib.Path, open_it: Callable[[], _T]) -> _T:
    """Opens a file; what the system refuses says nothing of what the file holds."""
    try:
        try:
            return open_it()
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            _allow_more_files()
            return open_it()
    except OSError as error:
        if error.errno is None:  # NumPy's word on what the file holds
            raise
        advice = (
            "None of it was read, so it may be whole: look at the file and the disk."
        )
        if error.errno in (errno.EMFILE, errno.ENFILE):
            advice = (
                "All files of a data set are open at once: join them to fewer, or have "
                "the limit raised (ulimit -Hn shows it)."
            )
        elif error.errno in (errno.EACCES, errno.EPERM):
            advice = "Give this user the right to read it, and to enter its folder."
        raise UserError(
            f"{path} cannot be opened: {error.strerror}. {advice}"
        ) from error


def _allow_more_files() -> None:
    """As many open files as a process may allow itself, often a thousand times more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems name no number
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
