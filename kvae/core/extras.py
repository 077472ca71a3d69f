"""Optional packages, imported by name."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtra(ImportError):
    """An optional package is not installed. The message has the pip command."""


def require(module: str, purpose: str, extra: str = "train") -> Any:
    """Imports an optional package.

    Args:
        module: for example "matplotlib.figure".
        purpose: what needs it, to start the message.
        extra: the extra of keras-vae that installs it.

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
