"""Mistakes that users can fix, as opposed to bugs in kvae."""

from __future__ import annotations

import contextlib
import difflib
import errno
from collections.abc import Iterable, Iterator


class UserError(ValueError):
    """A mistake in a user's request. The message says what to do.

    The command line prints it without a traceback and exits with status 2.
    """


def is_damage(error: BaseException) -> bool:
    """Returns whether an error while reading a file is about its bytes.

    Missing permissions, a failing disk, too many open files, and too little memory say
    nothing about the file, which may be undamaged.
    """
    if isinstance(error, OSError):  # EINVAL: a damaged archive points outside the file
        return error.errno in (None, errno.EINVAL)
    return isinstance(error, Exception) and not isinstance(error, MemoryError)


@contextlib.contextmanager
def user_errors(doing: str = "") -> Iterator[None]:
    """Turns the `ValueError` and `TypeError` of the library into a `UserError`.

    Wrap only code that works on the user's own values, such as building a model or
    checking data. Errors there are about these values.

    Args:
        doing: what was being done, which is put in front of the message.
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"{doing}: {error}" if doing else str(error)) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """Suggests known words that look like an unknown one.

    Args:
        word: the unknown word.
        known: all words to choose from.

    Returns:
        advice: "Did you mean a or b?", or the list of all words if none is close.
    """
    names = sorted(known)
    close = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Choose from {', '.join(names)}." if len(names) <= 30 else ""
