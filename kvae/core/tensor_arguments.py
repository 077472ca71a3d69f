"""Clear errors for arguments that TensorFlow can't compute with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf

_P = ParamSpec("_P")
_R = TypeVar("_R")


def tensor_arguments(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorates a pure function of tensors: wrong arguments raise ValueError.

    TensorFlow itself would raise one of its own errors, which name an operation inside,
    or fail on a list that has no dtype. A ValueError stays as it is.

    Args:
        function: of tensors and numbers.
    """

    @functools.wraps(function)
    def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (
            tf.errors.OpError,
            AttributeError,
            IndexError,
            KeyError,
            ArithmeticError,
            TypeError,
        ) as error:
            given = [*args, *kwargs.values()]
            raise ValueError(
                f"{function.__name__} takes tensors of numbers whose shapes and dtypes "
                f"agree; received {', '.join(map(_described, given))}."
            ) from error

    return checked


def _described(value: Any) -> str:
    """Shape and dtype of an array, or what else was given."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return repr(value)[:60]
    return f"{getattr(dtype, 'name', dtype)} of shape {tuple(shape)}"
