"""Compiled functions that run over arrays of any length."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs

_MOST = 16  # graphs that a model keeps


class CompiledFunctions:
    """Holds the graphs of a model's methods, which are made at first use.

    This is a plain object on purpose: Keras and TensorFlow track the attributes of a
    model and would try to save a `tf.function` among them.
    """

    def __init__(self) -> None:
        self._functions: collections.OrderedDict[
            tuple[Any, ...], Callable[..., Any]
        ] = collections.OrderedDict()

    def get(
        self, function: functools.partial[Any], jit_compile: bool = False
    ) -> Callable[..., Any]:
        """Returns the compiled form of a function with some arguments bound.

        Two partials with the same function and bound arguments share one graph. With
        `jit_compile`, XLA compiles it once per shape. The last 16 graphs stay.
        """
        bound = (function.args, tuple(sorted(function.keywords.items())))
        key = (function.func, *bound, jit_compile)
        if key not in self._functions:
            # Without AutoGraph, as in Keras' own steps: nothing here needs it, and it
            # mixes up methods that several parts override.
            self._functions[key] = tf.function(
                function,
                autograph=False,
                reduce_retracing=True,
                jit_compile=jit_compile,
            )
        self._functions.move_to_end(key)
        while len(self._functions) > _MOST:
            self._functions.popitem(last=False)
        return self._functions[key]

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledFunctions:
        """Returns an empty copy: a graph belongs to the model it was traced from."""
        return CompiledFunctions()

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """Pickles as an empty object, for the same reason."""
        return CompiledFunctions, ()


def map_batches(
    function: Callable[..., Any],
    inputs: Inputs,
    batch_size: int,
    *args: Any,
    first: int = 0,
) -> Any:
    """Calls a compiled function on consecutive batches and joins the results.

    Args:
        function: takes a dict of tensors, the position of the first example (scalar
            int32) and `args`; returns a structure of tensors with the batch first.
        inputs: arrays, N examples.
        batch_size: examples per call.
        *args: passed to each call.
        first: the position of the first of them, if they are part of a longer array.

    Returns:
        result: the structure as numpy arrays with N rows.

    Raises:
        ValueError: if `batch_size` is not a positive integer.
    """
    batch_size = check_count("batch_size", batch_size)
    arrays = inputs.to_dict()
    results = []
    for start in range(0, len(inputs.x), batch_size):
        batch = {
            k: tf.convert_to_tensor(v[start : start + batch_size])
            for k, v in arrays.items()
        }
        results.append(function(batch, tf.constant(first + start, tf.int32), *args))
    return tf.nest.map_structure(
        lambda *parts: np.concatenate([p.numpy() for p in parts]), *results
    )
