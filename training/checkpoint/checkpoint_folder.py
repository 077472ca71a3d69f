"""The checkpoints of a run on disk: complete or absent; finds the last good one."""

from __future__ import annotations

import dataclasses
import json
import logging
import pathlib
import zipfile
from typing import Any

import numpy as np

from kvae.core.atomic import remove_litter, replacing
from kvae.core.errors import UserError, is_damage

_LOG = logging.getLogger("kvae")
_FACTS = "facts"
_FORMAT = 1


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """A moment of training.

    Attributes:
        epoch: finished epochs.
        step: finished steps of the next epoch.
    """

    epoch: int = 0
    step: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.step}"


class CheckpointFolder:
    """Writes checkpoints, keeps the last few, and reads the last good one.

    A checkpoint is one .npz file: a zip archive in which every array has its CRC-32. It
    is written under another name, flushed to the disk, and renamed. Nothing is
    unpickled.

    Args:
        path: of the folder; created when something is written.
        keep: how many checkpoints to keep, at least 2 in case the last one is damaged.
    """

    def __init__(self, path: pathlib.Path, keep: int = 2) -> None:
        if keep < 2:
            raise ValueError(
                "keep must be at least 2, in case the last checkpoint is damaged; "
                f"received {keep}."
            )
        self.path = path
        self.keep = keep

    def files(self) -> list[pathlib.Path]:
        """The checkpoints, oldest first."""
        return sorted(self.path.glob("[0-9]*.npz"))

    def save(
        self, position: Position, arrays: list[np.ndarray], facts: dict[str, Any]
    ) -> pathlib.Path:
        """Writes a checkpoint, then removes those that are too old.

        Args:
            position: the moment of training.
            arrays: of any shapes and dtypes.
            facts: whatever JSON can hold.

        Returns:
            path: of the new file.

        Raises:
            WriteError: if the disk is full or the system refuses; earlier checkpoints
                are unchanged.
        """
        facts = {"format": _FORMAT, "arrays": len(arrays), **facts}
        members: dict[str, Any] = {
            _FACTS: np.frombuffer(json.dumps(facts).encode(), np.uint8)
        }
        members |= {f"{index:05d}": array for index, array in enumerate(arrays)}
        path = self.path / f"{position.epoch:06d}-{position.step:09d}.npz"
        with replacing(path) as beside:
            np.savez(beside, **members)
        for old in self.files()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> tuple[Position, list[np.ndarray], dict[str, Any]] | None:
        """Reads the last undamaged checkpoint, and says so if it is not the last one.

        A damaged file is renamed to .damaged, so that it no longer counts as a
        checkpoint.

        Returns:
            checkpoint: position, arrays and facts as they were saved; None if there is
                none.

        Raises:
            UserError: if there are checkpoints and all are damaged.
            OSError: if the system refuses to read one, which may be undamaged.
        """
        damaged = []
        for path in reversed(self.files()):
            try:
                arrays, facts = _read(path)
            except (
                Exception
            ) as error:  # whatever NumPy and zipfile raise for damaged bytes
                if not is_damage(error):
                    raise
                damaged.append(path)
                _LOG.warning(
                    "%s is damaged (%s); using the checkpoint before it.",
                    path,
                    str(error).splitlines()[0] if str(error) else type(error).__name__,
                )
                continue
            for other in damaged:
                other.rename(other.with_suffix(".damaged"))
            epoch, step = path.stem.split("-")
            return Position(int(epoch), int(step)), arrays, facts
        if damaged:
            raise UserError(
                f"all {len(damaged)} checkpoints in {self.path} are damaged; check the "
                "disk, and train again from the start."
            )
        return None

    def clean(self) -> None:
        """Removes half-written files of a killed process."""
        remove_litter(self.path)


def _read(path: pathlib.Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {bad} is wrong")
    with np.load(path, allow_pickle=False) as file:
        facts = json.loads(bytes(file[_FACTS]))
        if facts["format"] != _FORMAT:
            raise ValueError(f"its format is {facts['format']}, not {_FORMAT}")
        arrays = [file[f"{index:05d}"] for index in range(facts["arrays"])]
    return arrays, facts
