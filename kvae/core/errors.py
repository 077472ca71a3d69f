"""Mistakes that the user can mend, as opposed to failures of ours."""

from __future__ import annotations

import contextlib
import difflib
import errno
from collections.abc import Iterable, Iterator


class UserError(ValueError):
    """A mistake in what was asked for; the message says what to do.

    The command line prints it without a traceback and exits with status 2.
    """


def is_damage(error: BaseException) -> bool:
    """Whether an error while reading a file speaks of its bytes.

    A file that may not be read, a disk that fails, too many open files and too little
    memory say nothing about it; the file may be whole.
    """
    if isinstance(error, OSError):  # EINVAL: a damaged archive points outside the file
        return error.errno in (None, errno.EINVAL)
    return isinstance(error, Exception) and not isinstance(error, MemoryError)


@contextlib.contextmanager
def user_errors(doing: str = "") -> Iterator[None]:
    """Turns the `ValueError` and `TypeError` of the library into a `UserError`.

    Wrap only what runs on the user's own values (building a model, checking data):
    there such an error speaks of them.

    Args:
        doing: what was being done, put before the message.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"{doing}: {error}" if doing else str(error)) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """Says which known words look like an unknown one.

    Args:
        word: what was given.
        known: what there is.

    Returns:
        advice: 'Did you mean "a" or "b"?', else the list of what there is.
    """
    names = sorted(known)
    close = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"There are: {', '.join(names)}." if len(names) <= 30 else ""
