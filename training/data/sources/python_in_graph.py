"""Calls Python from a graph's threads, safely when the interpreter ends."""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor

_QUIET = 0.1  # seconds without a call, after which no call is pending


def call_python(
    function: Callable[..., np.ndarray],
    arguments: list[Tensor],
    dtype: Any,
    shape: tuple[int | None, ...],
) -> Tensor:
    """Calls a pure function as `tf.numpy_function` does.

    An iterator of `tf.data` that is alive when the interpreter ends waits for its
    calls, and these wait for the interpreter, forever. So no call begins once the
    interpreter is ending: graphs check a flag that is not a Python object.

    Args:
        function: of arrays to an array.
        arguments: tensors.
        dtype: of the array.
        shape: of the array; None for unknown axes.

    Returns:
        result: what the function returned.
    """
    gate = _gate()

    def call() -> Tensor:
        counted = gate.counted(function)
        return tf.numpy_function(counted, arguments, dtype, stateful=False)

    def nothing() -> Tensor:
        return tf.zeros([size or 0 for size in shape], dtype)

    return tf.ensure_shape(tf.cond(gate.open, call, nothing), shape)


class _Gate:
    """Lets calls through until the interpreter ends."""

    def __init__(self) -> None:
        with tf.init_scope(), tf.device("cpu"):
            self.open = tf.Variable(True, trainable=False)
        self._lock = threading.Lock()
        self._inside = 0
        self._last = 0.0
        atexit.register(self._close)

    def counted(self, function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def call(*arguments: np.ndarray) -> np.ndarray:
            self._count(1)
            try:
                return function(*arguments)
            finally:
                self._count(-1)

        return call

    def _count(self, change: int) -> None:
        with self._lock:
            self._inside += change
            self._last = time.monotonic()

    def _close(self) -> None:
        self.open.assign(False)
        self._last = time.monotonic()  # for calls that have just passed the flag
        while self._inside or time.monotonic() - self._last < _QUIET:
            time.sleep(_QUIET / 10)


@functools.cache
def _gate() -> _Gate:
    """Returns the process's own, made at first use, so that importing computes nothing."""
    return _Gate()
