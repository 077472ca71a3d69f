"""Where a data source is."""

from __future__ import annotations

import pathlib


def is_run(path: pathlib.Path) -> bool:
    """Whether a folder is what `kvae train` writes, and so no folder of data."""
    return (path / "config.toml").is_file() or (path / "checkpoints").is_dir()


def located(source: str) -> str:
    """Makes the path of a data source absolute, so that it is found from anywhere.

    Args:
        source: as `load_data` takes it.

    Returns:
        source: a name as it is.
    """
    path = pathlib.Path(source).expanduser()
    if source == "digits" or not path.exists() or is_run(path):
        return source
    return str(path.resolve())
