"""What a kind of data source is: which names it answers to, and how it is read."""

from __future__ import annotations

import abc
import dataclasses
import pathlib

from kvae.training.data.sources.data_set import DataSet, Raw
from kvae.training.data.sources.picture import AS_THEY_ARE, PictureOptions


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked of a source beside its name; a source takes what concerns it.

    Attributes:
        data_dir: where TFDS keeps its data; None is its own default.
        images: how image files of a folder are read.
        validation: how many training examples to keep aside, or which share if below 1.
        pixel_max: what integer pixels reach; None takes it from the data.
    """

    data_dir: str | None = None
    images: PictureOptions = AS_THEY_ARE
    validation: float = 0.0
    pixel_max: float | None = None


class Source(abc.ABC):
    """A kind of data source. `kvae.training.data.sources.SOURCES` lists those there are.

    Subclassing guide: give `matches` and `read`. `read` returns the arrays as they are,
    a `Raw`: splits, ranges and shapes are then made and checked in one place for all
    sources. A source whose examples stay on disk returns a `DataSet` of its own.
    """

    at_path: bool = False
    """Whether its name is a path, which a run keeps as an absolute one."""

    @abc.abstractmethod
    def matches(self, name: str) -> bool:
        """Says whether a name is one of this kind; the first source that matches reads."""

    @abc.abstractmethod
    def read(self, name: str, request: Request) -> Raw | DataSet:
        """Reads what the name stands for.

        Raises:
            UserError: with what to do, if it cannot be read.
        """


def is_run(path: pathlib.Path) -> bool:
    """Whether a folder is what `kvae train` writes, and so no folder of data."""
    return (path / "config.toml").is_file() or (path / "checkpoints").is_dir()
