"""The messages of the library to its users, in one place."""

from __future__ import annotations

import logging

import keras
import tensorflow as tf

from kvae.core.types import Tensor

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


def say_progress(what: str, done: Tensor, total: int, now: Tensor) -> None:
    """Prints how far a loop inside a graph is, on one line that it overwrites.

    It prints nothing where `say` prints nothing.

    Args:
        what: is counted.
        done: scalar, how many.
        total: of them.
        now: scalar boolean, whether to print.
    """
    if _LOG.handlers or not keras.config.is_interactive_logging_enabled():
        return

    def show() -> Tensor:
        tf.print("\r", done, "/", total, " ", what, sep="", end="")
        return tf.cond(tf.equal(done, total), finish, lambda: tf.constant(0))

    def finish() -> Tensor:
        tf.print("")
        return tf.constant(0)

    tf.cond(now, show, lambda: tf.constant(0))
