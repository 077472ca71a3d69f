"""Numbers that users give, checked before any graph is built."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor


def is_integer(value: Any) -> bool:
    """Whether a value is an integer, of Python or of NumPy, and no boolean."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Returns a count as int, or raises ValueError if it is not one."""
    if not is_integer(value) or value < least:
        raise ValueError(
            f"{name} must be an integer of at least {least}; received {value!r}."
        )
    return int(value)


def check_seed(seed: Any) -> int:
    """Returns the seed as int, or raises ValueError if it is out of range."""
    if not is_integer(seed) or not 0 <= seed < 2**31:
        raise ValueError(
            f"seed must be an integer from 0 to 2**31 - 1; received {seed!r}."
        )
    return int(seed)


def check_temperature(value: Any) -> float:
    """Returns a temperature as float, or raises ValueError if it is none."""
    if not isinstance(value, numbers.Real) or not 0 <= float(value) < math.inf:
        raise ValueError(
            f"temperature must be a number of at least 0; received {value!r}. 1 draws from "
            "the prior."
        )
    return float(value)


def check_latents(z: Any, latent_dim: int, dtype: str) -> Tensor:
    """Returns latents (..., N, D) as a tensor, or raises ValueError if they are none."""
    z = tf.convert_to_tensor(z)
    if not (z.dtype.is_floating or z.dtype.is_integer):
        raise ValueError(f"decode takes z of numbers; received {z.dtype.name}.")
    if z.shape.rank is None or z.shape.rank < 2 or z.shape[-1] != latent_dim:
        raise ValueError(
            f"decode takes z of shape (N, {latent_dim}); received {z.shape}."
        )
    return tf.cast(z, dtype)
