"""The precision of densities, whatever the precision of the networks."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_FLOAT64_EXISTS = contextvars.ContextVar("float64_exists", default=True)


def maths_dtype(compute_dtype: str) -> str:
    """Returns the dtype of every density and divergence: at least float32.

    Half precision has 3 digits (float16) or 2 (bfloat16). A sum over 784 pixels needs
    more, and TFP refuses to mix dtypes. So networks can compute in half precision, but
    their outputs are cast to this dtype before they become parameters.

    Args:
        compute_dtype: the compute dtype of a Keras dtype policy.

    Returns:
        dtype: `"float64"` under a float64 policy, else `"float32"`.
    """
    return "float64" if compute_dtype == "float64" else "float32"


def float64_exists() -> bool:
    """Returns whether the code that is being traced may use float64, as phones can't."""
    return _FLOAT64_EXISTS.get()


@contextlib.contextmanager
def without_float64() -> Iterator[None]:
    """Makes code that is traced inside this block avoid float64."""
    token = _FLOAT64_EXISTS.set(False)
    try:
        yield
    finally:
        _FLOAT64_EXISTS.reset(token)
