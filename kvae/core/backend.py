"""kvae runs on TensorFlow: another backend of Keras is refused in a sentence."""

from __future__ import annotations

import os


def check_backend() -> None:
    """Raises if Keras was told to run on another backend than TensorFlow.

    The environment is asked first, because importing Keras fails where the backend that
    it names is not installed.

    Raises:
        ImportError: with the backend and what to do.
    """
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    if name == "tensorflow":
        import keras

        name = keras.config.backend()
    if name != "tensorflow":
        raise ImportError(
            f"kvae runs on TensorFlow, and Keras is set to the backend {name!r}. Set "
            "KERAS_BACKEND=tensorflow before Python starts, or change "
            "~/.keras/keras.json."
        )


check_backend()
