"""The messages of the library to its users, in one place."""

from __future__ import annotations

import logging

import keras

_LOG = logging.getLogger("kvae")


def say(message: str) -> None:
    """Prints a line, as Keras prints its progress.

    `keras.config.disable_interactive_logging()` silences it as it silences Keras: the
    line then goes to the logger "kvae" at level INFO. It also goes there if an
    application, such as the command line, has given that logger a handler of its own.

    Args:
        message: of one line.
    """
    if _LOG.handlers or not keras.config.is_interactive_logging_enabled():
        _LOG.info("%s", message)
    else:
        print(message, flush=True)
