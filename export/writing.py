"""Writing so that a name appears once all of it is on the disk, and saying why not."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from kvae.core.atomic import WriteError, being_written, partial_prefix, remove_litter
from kvae.export.model_checks import check_new

# What TensorFlow's own writers raise for a full or forbidden disk.
_OF_TENSORFLOW = (
    tf.errors.ResourceExhaustedError,
    tf.errors.PermissionDeniedError,
    tf.errors.OutOfRangeError,
)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what the system refuses in this block into one sentence.

    Args:
        path: of what is being written; the block removes its parts if it fails.

    Raises:
        WriteError: with the reason of the system.
    """
    try:
        yield
    except (FileExistsError, WriteError):
        raise
    except (OSError, *_OF_TENSORFLOW) as error:
        reason = getattr(error, "strerror", None) or str(error).rpartition("; ")[2]
        raise WriteError(
            f"{path} was not written, and nothing of it was left: {reason}. Make room, "
            "or choose a place that can be written."
        ) from error


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Gives a hidden directory beside `path`, which takes its name when all is written.

    A block that fails leaves nothing. A process that is killed leaves the hidden
    directory at most, `.NAME.PID.partial.*`, which the next one removes.

    Args:
        path: of the directory; must not exist.

    Yields:
        stage: where to write.

    Raises:
        FileExistsError: if the name was taken meanwhile.
        WriteError: with the reason of the system.
    """
    with explained(path):
        remove_litter(path.parent, path.name)
        prefix = f"{partial_prefix(path.name)}."
        stage = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        try:
            with being_written(stage):
                yield stage
                stage.chmod(0o755)
                check_new(path)  # a rename would take an empty directory's place
                os.rename(stage, path)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            raise


def write_new(path: Path, content: bytes) -> None:
    """Writes a file so that its name appears only once all of it is on the disk."""
    prefix = f"{partial_prefix(path.name)}."
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
