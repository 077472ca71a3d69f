"""What the command prints when it fails, and its exit status."""

from __future__ import annotations

import errno
import sys
import traceback

from kvae_cli.printable import printable

# An impossible path is a mistake in the command; a failing disk is not.
_OF_THE_PATH = {
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
}


def explain(error: Exception) -> int:
    """Prints what went wrong, and whether it is a mistake of the user or a bug."""
    # By name, because the library itself may be the thing that can't be imported.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"UserError", "MissingExtra", "ExportRefused", "FileExistsError"}:
        return _say(" ".join(str(error).split()), 2)
    if kinds & {"WriteError", "ParityFailed", "WorkerLost"}:
        return _say(str(error), 1)
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        status = 2 if error.errno in _OF_THE_PATH else 1
        return _say(f"{where}{error.strerror}.", status)
    if isinstance(error, MemoryError):
        return _say(f"there is not enough memory. {error}".strip(), 1)
    if isinstance(error, UnicodeEncodeError):
        name = error.object[:80]
        return _say(f"a name is not UTF-8: {name}. Rename the file or folder.", 2)
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return _say("a path begins with ~ and the name of an unknown user.", 2)
    traceback.print_exception(error)
    return _say("this is a bug in kvae. Please report it with the lines above.", 1)


def _say(text: str, status: int) -> int:
    print(f"kvae: {printable(text)}", file=sys.stderr)
    return status
