"""What must hold before anything is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import kvae
from kvae.core.atomic import WriteError


def check_built(vae: Any) -> None:
    """Raises unless this is a model with weights.

    Raises:
        TypeError: if it is not a `kvae.VAE`.
        ValueError: if it has no weights yet.
    """
    if not isinstance(vae, kvae.VAE):
        raise TypeError(
            f"export takes a kvae.VAE; received {type(vae).__name__}. Load a saved one "
            "with keras.saving.load_model(path) after `import kvae`."
        )
    if not vae.built:
        raise ValueError(
            "the model has no weights yet. Train it with fit, or build it for a shape: "
            "vae.build((None, *data_shape))."
        )


def check_trained(vae: Any) -> None:
    """Raises if no training step was ever taken.

    Raises:
        ValueError: naming the way out for weights that came from elsewhere.
    """
    if int(vae.step.value) == 0:
        raise ValueError(
            "the model was never trained: its weights are random. Call fit first, or "
            "say allow_untrained=True if the weights came from elsewhere."
        )


def check_new(path: Any) -> Path:
    """Makes sure that a path is free and that its parent can be written.

    Args:
        path: of what is to be written.

    Returns:
        path: absolute; its parent exists.

    Raises:
        FileExistsError: if something is there; it is never overwritten.
        WriteError: if the parent cannot be made or written.
    """
    path = Path(path).absolute()
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists. Choose a new name, or remove it first.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(
            f"{path.parent} cannot be made ({error.strerror}). Choose another place."
        ) from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise WriteError(
            f"{path.parent} cannot be written to. Choose a directory that can."
        )
    return path


def require_litert() -> None:
    """Raises if the LiteRT runtime is missing.

    Raises:
        ImportError: naming the command that installs it.
    """
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "LiteRT files are run before they count as written, and that needs "
            'ai-edge-litert. Install it: pip install "keras-vae[mobile]"'
        ) from error


def require_serving() -> None:
    """Raises if the official TF Serving messages are missing.

    Raises:
        ImportError: naming the command that installs them.
    """
    try:
        import tensorflow_serving.apis.predict_pb2  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "TF Serving's messages come with tensorflow-serving-api. Install it: "
            'pip install "keras-vae[serving]"'
        ) from error
