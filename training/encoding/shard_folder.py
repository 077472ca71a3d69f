"""The folder of shards that an encoding writes and resumes."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import logging
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from kvae.core.atomic import WriteError, remove_litter, write_json
from kvae.core.errors import UserError, is_damage
from kvae.training.run.run_directory import versions

_LOG = logging.getLogger("kvae")

_OTHER = {
    "model": "of another model",
    "data": "of other data",
    "columns": "with other columns",
}


def joined_facts(own: dict[str, Any], further: dict[str, Any]) -> dict[str, Any]:
    """Joins the facts of a manifest, in the form in which they are read back.

    Args:
        own: of the encoding.
        further: of the caller: JSON types, by names that are not taken.

    Raises:
        UserError: if a name is taken, or a value cannot be written.
    """
    taken = sorted({*own, "versions"} & {str(key) for key in further})
    if taken:
        raise UserError(
            "facts must not use the names of the encoding's own facts; received "
            f"{', '.join(taken)}."
        )
    try:
        read = json.loads(json.dumps(further, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            "facts must be JSON types: strings, finite numbers, and lists and dicts "
            f"of them: {error}."
        ) from error
    return {**own, **read}


@dataclasses.dataclass(frozen=True)
class ShardFolder:
    """The files `shard-00000-of-00007.parquet` and so on, and their manifest.

    Shards and the manifest appear whole, by a rename, so every file is complete. The
    manifest is `_manifest.json`, because readers of Parquet folders ignore names that
    begin with an underscore.

    Attributes:
        path: of the folder.
        facts: of the manifest; "examples", "shard_size" and "format" among them.
    """

    path: pathlib.Path
    facts: dict[str, Any]

    @property
    def manifest_file(self) -> pathlib.Path:
        """The facts about the shards."""
        return self.path / "_manifest.json"

    @property
    def num_shards(self) -> int:
        """How many files there will be."""
        return math.ceil(self.facts["examples"] / self.facts["shard_size"])

    def file(self, index: int) -> pathlib.Path:
        """The path of one shard."""
        name = f"shard-{index:05d}-of-{self.num_shards:05d}.{self.facts['format']}"
        return self.path / name

    def rows(self, index: int) -> tuple[int, int]:
        """Returns the first example of a shard, and the one after its last."""
        size = self.facts["shard_size"]
        return index * size, min((index + 1) * size, self.facts["examples"])

    def missing(self) -> list[int]:
        """The missing shards."""
        return [i for i in range(self.num_shards) if not self.file(i).is_file()]

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Creates the folder, or makes sure that an existing one has the same facts.

        While the block runs, other processes are kept out. Half-written files of a
        killed process are removed.

        Raises:
            UserError: if the folder holds anything else, or is in use.
            WriteError: if it cannot be created.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileExistsError, NotADirectoryError):
            raise UserError(
                f"{self.path} exists and is not a folder; choose another --out."
            ) from None
        except OSError as error:
            raise WriteError(
                f"{self.path} cannot be created: {error.strerror}"
            ) from error
        try:
            self._lock(folder)
            self._check()
            remove_litter(self.path)
            if not self.manifest_file.exists():
                write_json(self.manifest_file, {**self.facts, "versions": versions()})
            yield
        finally:
            os.close(folder)

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path} is in use by another process; wait for it, end it, or "
                "choose another --out."
            ) from None
        except OSError as error:  # some network file systems can't lock folders
            _LOG.debug("%s is not locked: %s", self.path, error)

    def _check(self) -> None:
        if not self.manifest_file.exists():
            if any(not file.name.startswith(".") for file in self.path.iterdir()):
                raise UserError(
                    f"{self.path} exists and holds files that are not shards of kvae "
                    "encode; choose another --out, or remove it."
                )
            return
        try:
            before = json.loads(self.manifest_file.read_text(encoding="utf-8"))
            made_with = dict(before.pop("versions"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if not is_damage(error):
                raise
            raise UserError(
                f"{self.manifest_file} is damaged ({error}); remove {self.path} and "
                "encode again."
            ) from error
        for key, value in self.facts.items():
            if before.get(key) != value:
                what = _OTHER.get(key, f"with {key} {before.get(key)}, not {value}")
                raise UserError(
                    f"{self.path} holds shards {what}; choose another --out, or remove it."
                )
        for name, version in versions().items():
            if made_with.get(name) != version:
                _LOG.warning(
                    "%s was %s and is now %s: the missing shards may not be bit for "
                    "bit what they would have been.",
                    name,
                    made_with.get(name),
                    version,
                )
