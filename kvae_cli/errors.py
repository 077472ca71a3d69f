"""What the command prints when it fails, and its exit status."""

from __future__ import annotations

import sys
import traceback


def explain(error: Exception) -> int:
    """Prints what went wrong, and whether it is a mistake of the user or a bug."""
    # By name, because the library itself may be what cannot be imported.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"UserError", "MissingExtra", "ExportRefused", "FileExistsError"}:
        print(f"kvae: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if kinds & {"WriteError", "ParityFailed", "WorkerLost"}:
        print(f"kvae: {error}", file=sys.stderr)
        return 1
    traceback.print_exception(error)
    print(
        "kvae: this is a bug in kvae. Please report it with the lines above.",
        file=sys.stderr,
    )
    return 1
