"""Optional packages, asked for by name."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtra(ImportError):
    """An optional package is not installed; the message holds the pip command."""


def require(module: str, purpose: str, extra: str = "train") -> Any:
    """Imports an optional package.

    Args:
        module: for example "matplotlib.figure".
        purpose: what it is needed for, in words.
        extra: the extra of keras-vae that brings it.

    Returns:
        module: the imported module.

    Raises:
        MissingExtra: if it is not installed, with the pip command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{purpose} needs {module.split('.')[0]}, which is not installed: "
            f'pip install "keras-vae[{extra}]"'
        ) from error
