"""Checks of the numbers that users pass, before any graph is built."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor

MOST = 2**31 - 1
"""The largest count: graphs count in 32 bits, where 2**32 + 1 would be 1."""

MOST_UNITS = 2**20
"""The largest width of a layer, number of latents, components, classes, and the like: two
of them make a matrix of 4 TB."""

MOST_LAYERS = 2**10
"""The largest number of layers, or of steps of a flow, each with weights of its own."""

MOST_ENTRIES = 2**28
"""The most entries of an example: 1 GB in float32."""


def is_integer(value: Any) -> bool:
    """Returns whether a value is an integer, of Python or of NumPy, and not a boolean."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_count(value: Any, least: int = 1) -> bool:
    """Returns whether a value is an integer from `least` to `MOST`."""
    return is_integer(value) and least <= value <= MOST


def is_number(value: Any, dtype: str = "float32") -> bool:
    """Returns whether a value is a real number that a dtype can hold, and not a boolean."""
    if not isinstance(value, numbers.Real) or isinstance(value, (bool, np.bool_)):
        return False
    try:
        return abs(float(value)) <= float(np.finfo(dtype).max)  # False for NaN
    except OverflowError:  # of an integer above 1e308
        return False


def check_count(name: str, value: Any, least: int = 1) -> int:
    """Returns a count as int, or raises ValueError if it is not one."""
    if not is_count(value, least):
        most = "" if not is_integer(value) or value < least else ", below 2**31"
        raise ValueError(
            f"{name} must be an integer of at least {least}{most}; received {value!r}."
        )
    return int(value)


def check_size(name: str, value: Any, least: int = 1, most: int = MOST_UNITS) -> int:
    """Returns a size that memory grows with as int, or raises ValueError."""
    if not is_integer(value) or not least <= value <= most:
        raise ValueError(
            f"{name} must be an integer from {least} to {most}; received {value!r}."
        )
    return int(value)


def check_sizes(
    name: str, value: Any, advice: str = "Try (256,).", empty: bool = False
) -> tuple[int, ...]:
    """Returns the sizes of several layers as a tuple; one number is one layer.

    Args:
        name: of the argument, for the message.
        value: a positive integer, or a tuple or list of them.
        advice: what to try.
        empty: whether there may be none.

    Raises:
        ValueError: if it is neither, or a size is one that no machine can hold.
    """
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    if (not sizes and not empty) or not all(
        is_integer(size) and 1 <= size <= MOST_UNITS for size in sizes
    ):
        raise ValueError(
            f"{name} must be a tuple of integers from 1 to {MOST_UNITS}, one per layer; "
            f"received {value!r}. {advice}"
        )
    if len(sizes) > MOST_LAYERS:
        raise ValueError(
            f"{name} must hold at most {MOST_LAYERS} layers; received {len(sizes)}."
        )
    return tuple(int(size) for size in sizes)


def check_data_shape(
    owner: str, value: Any, name: str = "data_shape"
) -> tuple[int, ...]:
    """Returns the shape of one example as a tuple.

    Args:
        owner: class or function, for the message.
        value: a tuple or list of positive integers.
        name: of the argument, for the message.

    Raises:
        ValueError: if it is not one, or an example has more entries than memory holds.
    """
    shape = tuple(value) if isinstance(value, (tuple, list)) else ()
    if not shape or not all(is_integer(size) and size > 0 for size in shape):
        raise ValueError(
            f"{owner} expects {name} to be a tuple of positive integers, such as "
            f"x_train.shape[1:]; received {value!r}."
        )
    shape = tuple(int(size) for size in shape)
    if math.prod(shape) > MOST_ENTRIES:
        raise ValueError(
            f"{owner} expects {name} of at most {MOST_ENTRIES} entries, which are 1 GB per "
            f"example; received {value!r}. Make the examples smaller, for example by "
            "resizing or cutting them."
        )
    return shape


def check_square(owner: str, dim: int) -> None:
    """Raises if the D * (D + 1) / 2 numbers of a triangular matrix are too many."""
    if dim * (dim + 1) // 2 > MOST_UNITS:
        most = math.isqrt(2 * MOST_UNITS) - 1
        raise ValueError(
            f"{owner} has a matrix of {dim} x {dim} numbers per example, so it expects at "
            f"most {most} latents; received {dim}. DiagonalNormal takes more."
        )


def check_vae(vae: Any) -> None:
    """Raises TypeError unless a value is a `kvae.VAE`, or anything with its methods."""
    if isinstance(vae, type) or not hasattr(vae, "posterior_params"):
        name = vae.__name__ if isinstance(vae, type) else type(vae).__name__
        raise TypeError(
            f"this function takes a kvae.VAE; received {name}. Load one with "
            "keras.saving.load_model."
        )


def check_dict(name: str, value: Any) -> dict[Any, Any]:
    """Returns a dict, an empty one for None, or raises TypeError if it is not one."""
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict or None; received {value!r}.")
    return dict(value or {})


def check_layer(name: str, value: Any) -> None:
    """Raises TypeError unless a value is None or can be called, as a Keras layer can."""
    if value is not None and not callable(value):
        raise TypeError(
            f"{name} must be a Keras layer or model, or None; received {value!r}."
        )


def check_together(name: str, count: int, each: int, advice: str) -> None:
    """Raises ValueError if `count` times `each` numbers at once are more than 2**31."""
    if count * each > MOST:
        raise ValueError(
            f"{name}={count} needs {4 * count * each / 1e9:,.0f} GB at once. {advice}"
        )


def check_seed(seed: Any) -> int:
    """Returns the seed as int, or raises ValueError if it is out of range."""
    if not is_count(seed, 0):
        raise ValueError(
            f"seed must be an integer from 0 to 2**31 - 1; received {seed!r}."
        )
    return int(seed)


def check_number(name: str, value: Any, least: float) -> float:
    """Returns a number as float, or raises ValueError if it is out of range."""
    if not is_number(value) or value < least:
        low = f" of at least {least:g}" if math.isfinite(least) else ""
        raise ValueError(f"{name} must be a finite number{low}; received {value!r}.")
    return float(value)


def check_optimizer(value: Any) -> None:
    """Raises ValueError unless a value is a Keras optimizer, its name, or its config."""
    if not isinstance(value, (str, dict, keras.optimizers.Optimizer)) or (
        isinstance(value, dict) and "class_name" not in value
    ):
        raise ValueError(
            'optimizer must be a Keras optimizer or its name, such as "adam"; received '
            f"{value!r}."
        )


def check_temperature(value: Any) -> float:
    """Returns a temperature as float, or raises ValueError if it is not one."""
    if not is_number(value) or value < 0:
        raise ValueError(
            f"temperature must be a number of at least 0; received {value!r}. 1 draws from "
            "the prior."
        )
    return float(value)


def check_latent_shape(name: str, value: Any) -> tuple[int, ...]:
    """Returns the shape of one latent, (D,) for a number D of dimensions.

    Args:
        name: of the part, for messages.
        value: a positive integer, or a tuple of them such as (8, 8, 4).

    Raises:
        ValueError: if it is neither.
    """
    shape = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not shape or not all(is_integer(size) and size > 0 for size in shape):
        raise ValueError(
            f"{name} expects latent_dim to be a positive integer, or a shape such as "
            f"(8, 8, 4); received {value!r}. Small images need 2 to 64."
        )
    shape = tuple(int(size) for size in shape)
    if math.prod(shape) > MOST_UNITS:
        raise ValueError(
            f"{name} expects at most {MOST_UNITS} latents; received latent_dim={value!r}. "
            "Small images need 2 to 64."
        )
    return shape


def check_latents(z: Any, latent_shape: tuple[int, ...], dtype: str) -> Tensor:
    """Returns latents as a flat tensor (..., N, D).

    Args:
        z: (..., N, *latent_shape), or flat already.
        latent_shape: of one latent.
        dtype: of the result.

    Raises:
        ValueError: if z has another shape, or holds no finite numbers.
    """
    wanted = f"(N, {', '.join(map(str, latent_shape))})"
    try:
        z = tf.convert_to_tensor(z)
    except (TypeError, ValueError) as error:  # ragged lists, None, texts among numbers
        raise ValueError(
            f"decode takes z of shape {wanted}; received "
            f"{type(z).__name__}, which is not an array: {error}"
        ) from error
    if not (z.dtype.is_floating or z.dtype.is_integer):
        raise ValueError(f"decode takes numbers as z; received {z.dtype.name}.")
    axes, size = len(latent_shape), math.prod(latent_shape)
    rank = z.shape.rank or 0
    shaped = rank > axes and tuple(z.shape[-axes:]) == latent_shape
    if not shaped and (rank < 2 or z.shape[-1] != size):
        raise ValueError(f"decode takes z of shape {wanted}; received {z.shape}.")
    cast = tf.cast(z, dtype)
    if shaped and axes > 1:
        lead = tf.shape(z)[: rank - axes]
        cast = tf.reshape(cast, tf.concat([lead, [size]], axis=0))
        cast = tf.ensure_shape(cast, (*z.shape[: rank - axes], size))
    if tf.executing_eagerly() and not tf.reduce_all(tf.math.is_finite(cast)):
        raise ValueError(
            f"decode takes finite z; received entries that are NaN, infinite, or too "
            f"large for {dtype}."
        )
    return cast
