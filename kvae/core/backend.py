"""The check that Keras runs on TensorFlow."""

from __future__ import annotations

import os


def check_backend() -> None:
    """Raises if Keras is set to another backend than TensorFlow.

    This reads the environment first, because importing Keras fails if the backend named
    there is not installed.

    Raises:
        ImportError: with the name of the backend and what to do.
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
