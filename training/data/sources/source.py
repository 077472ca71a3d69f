"""A kind of data source: the names that it matches, and how it is read."""

from __future__ import annotations

import abc
import dataclasses
import pathlib

from kvae.training.data.sources.data_set import DataSet, Raw
from kvae.training.data.sources.picture import AS_THEY_ARE, PictureOptions


@dataclasses.dataclass(frozen=True)
class Request:
    """The options of a source besides its name; a source uses those that concern it.

    Attributes:
        data_dir: where TFDS keeps its data; None means its own default.
        images: how image files of a folder are read.
        validation: how many training examples to hold out, or a share if below 1.
        pixel_max: the maximum of integer pixels; None takes it from the data.
        columns: kinds of a table's columns by name, instead of those found.
    """

    data_dir: str | None = None
    images: PictureOptions = AS_THEY_ARE
    validation: float = 0.0
    pixel_max: float | None = None
    columns: dict[str, str] | None = None


class Source(abc.ABC):
    """A kind of data source. `kvae.training.data.sources.SOURCES` lists all kinds.

    Subclassing guide: define `matches` and `read`. `read` returns the arrays as they
    are, in a `Raw`; splits, ranges and shapes are then made and checked in one place
    for all sources. A source whose examples stay on disk returns a `DataSet` of its
    own.
    """

    at_path: bool = False
    """Whether its name is a path, which a run stores as an absolute path."""

    @abc.abstractmethod
    def matches(self, name: str) -> bool:
        """Returns whether a name is of this kind; the first that matches reads it."""

    @abc.abstractmethod
    def read(self, name: str, request: Request) -> Raw | DataSet:
        """Reads the data of this name.

        Raises:
            UserError: with what to do, if it cannot be read.
        """


def is_run(path: pathlib.Path) -> bool:
    """Returns whether a folder is a run of `kvae train`, and so not a folder of data."""
    return (path / "config.toml").is_file() or (path / "checkpoints").is_dir()
