"""The command `kvae`: from a verb to the function that does it.

    kvae quickstart
    kvae train mnist --out runs/mnist

Exit status: 0 success; 1 something failed; 2 the command was wrong, with one sentence on
standard error; 130 interrupted; 143 stopped by SIGTERM, with training saved.

`import kvae` imports TensorFlow, which takes seconds. This package imports only the
standard library before it has read the arguments, so help and refusals come at once.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kvae_cli.arguments import parser
from kvae_cli.errors import explain
from kvae_cli.printable import PrintableStream, printable


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        status: for `sys.exit`.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names may hold any bytes
        sys.stdout.reconfigure(errors="backslashreplace")
    with contextlib.redirect_stdout(PrintableStream(sys.stdout)):
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    try:
        arguments = parser().parse_args(argv)
        if arguments.verb == "verify":
            return _verify(arguments.path)
        if arguments.verb == "train" and not _says_what(arguments):
            parser().parse_args(["train", "--help"])
        _show_log(arguments.quiet)
        values = dict(vars(arguments))
        with _quiet_import():
            verb = _verb(values.pop("verb"))
        del values["quiet"]
        verb(**values)
        return 0
    except SystemExit as stop:  # argparse: help, or a mistake it has explained
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        print("kvae: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return explain(error)


def _verb(name: str) -> Callable[..., None]:
    """Imports the function of a verb."""
    if name == "family":  # by its name: nothing depends on that folder
        run: Callable[..., None] = importlib.import_module("kvae.family.command").run
        return run
    from kvae.training.commands.verbs import VERBS

    return VERBS[name]


def _says_what(arguments: Any) -> bool:
    """Whether `kvae train` was given anything at all."""
    given = {key: value for key, value in vars(arguments).items() if value}
    return bool(set(given) - {"verb", "quiet"})


def _verify(path: pathlib.Path) -> int:
    """Repeats the checks of an export in a process that can import neither kvae nor Keras.

    It bypasses the library, because the checks need only one runtime and are meant for
    machines that have nothing else.
    """
    if not path.is_dir():
        print(f"kvae: there is no folder {printable(str(path))}.", file=sys.stderr)
        return 2
    package = importlib.util.find_spec("kvae")  # found, not imported
    assert package is not None
    assert package.origin is not None
    script = pathlib.Path(package.origin).parent / "export/checks/verification.py"
    sys.stdout.flush()
    command = [sys.executable, "-P", str(script), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode:
        print(printable(done.stderr), end="", file=sys.stderr)
    return done.returncode


class _Printable(logging.Formatter):
    """Writes messages without the control characters of file names."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats one message."""
        return printable(super().format(record))


def _show_log(quiet: bool) -> None:
    logger = logging.getLogger("kvae")
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    logger.handlers = [handler]  # one, on the standard error of this call
    logger.propagate = False  # the root logger may have a handler of absl's


@contextlib.contextmanager
def _quiet_import() -> Iterator[None]:
    """Keeps TensorFlow's greetings off standard error, and shows them after a failure.

    TF_CPP_MIN_LOG_LEVEL has no effect on what TensorFlow logs while it is loaded. If the
    user has set it, everything is shown.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
            import tensorflow as tf

            tf.config.list_physical_devices()  # looks for a GPU, and says so
        except BaseException:
            os.dup2(kept, 2)
            file.seek(0)
            os.write(2, file.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
