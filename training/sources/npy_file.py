"""An array in a .npy file, left on disk."""

from __future__ import annotations

import os
import pathlib
import weakref
from typing import Any

import numpy as np

from kvae.training.errors import UserError


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
            its rows apart (Fortran order).
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        array = _mapped(path)
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
        self.descriptor = _open(path)
        weakref.finalize(self, os.close, self.descriptor)

    def bytes_per_row(self) -> int:
        """How many bytes one row takes."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def _mapped(path: pathlib.Path) -> Any:
    """The array with its shape and dtype; no row is read."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, TypeError) as error:
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


def _open(path: pathlib.Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise UserError(
            f"{path} cannot be opened ({error.strerror}). All files of a data set are "
            "open at once: join them to fewer, or raise the limit with ulimit -n."
        ) from error
