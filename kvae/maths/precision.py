"""The precision in which densities are computed, whatever the networks run in."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_FLOAT64_EXISTS = contextvars.ContextVar("float64_exists", default=True)


def maths_dtype(compute_dtype: str) -> str:
    """Names the dtype of every density and divergence: never less than float32.

    Half precision holds 3 digits (float16) or 2 (bfloat16); a sum over 784 pixels needs
    more, and TFP refuses to mix dtypes. So networks may compute in half precision, but
    their outputs are cast to this dtype before they become parameters.

    Args:
        compute_dtype: the compute dtype of a Keras dtype policy.

    Returns:
        dtype: `"float64"` under a float64 policy, else `"float32"`.
    """
    return "float64" if compute_dtype == "float64" else "float32"


def float64_exists() -> bool:
    """Says whether what is traced now may compute in float64, which phones do not."""
    return _FLOAT64_EXISTS.get()


@contextlib.contextmanager
def without_float64() -> Iterator[None]:
    """Lets what is traced inside do without float64."""
    token = _FLOAT64_EXISTS.set(False)
    try:
        yield
    finally:
        _FLOAT64_EXISTS.reset(token)
