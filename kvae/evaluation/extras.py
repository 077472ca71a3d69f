"""Packages that only some evaluations need."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, purpose: str) -> Any:
    """Imports an optional package, or says how to install it.

    Args:
        module: dotted name, for example "sklearn.ensemble".
        purpose: what needs it, for the message.

    Returns:
        module: the imported module.

    Raises:
        ImportError: if it is not installed, with the pip line.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        names = {"sklearn": "scikit-learn"}
        package = names.get(module.split(".")[0], module.split(".")[0])
        raise ImportError(
            f'{purpose} needs {package}: pip install "keras-vae[train]"'
        ) from error
