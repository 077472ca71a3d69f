"""The visible part of an example, as the input of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.checks import check_data_shape
from kvae.core.inputs import check_mask
from kvae.core.tensor_arguments import tensor_arguments
from kvae.core.types import Tensor


def visible_shape(data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of one `visible_part`: twice the channels or columns of x."""
    shape = check_data_shape("visible_shape", data_shape)
    if len(shape) == 2:
        return (*shape, 2)
    return (*shape[:-1], 2 * shape[-1])


@tensor_arguments
def visible_part(x: Tensor, mask: Tensor) -> Tensor:
    """Concatenates the visible entries with the mask.

    Args:
        x: (B, *data_shape). Hidden entries may have any value, also NaN.
        mask: in the shape of x, 1 where visible.

    Returns:
        part: (B, *visible_shape): x with zeros for hidden entries, then the mask, along
            the last axis, or along a new one for (H, W) images.
    """
    x = tf.convert_to_tensor(x)
    x = x if x.dtype.is_floating else tf.cast(x, tf.float32)
    mask = tf.cast(mask, tf.bool)
    parts = [tf.where(mask, x, tf.zeros_like(x)), tf.cast(mask, x.dtype)]
    if len(x.shape) == 3:
        return tf.stack(parts, axis=-1)
    return tf.concat(parts, axis=-1)


def given_visible(x: Any, mask: Any, observed: Any = None) -> dict[str, np.ndarray]:
    """Makes the inputs of a model of p(hidden | visible) from masks.

    Args:
        x: (N, *data_shape).
        mask: in the shape of x, 1 where visible.
        observed: in the shape of x, 1 where the value of x is known at all. If None, all
            values are known.

    Returns:
        inputs: "x"; "condition", the visible part; and "mask", 1 where an entry is hidden
            and its value is known, so that the ELBO bounds log p(hidden | visible).

    Raises:
        ValueError: if a mask has not the shape of x, or has values other than 0 and 1.
    """
    x, mask = np.asarray(x), np.asarray(mask)
    check_mask(mask, x.shape)
    visible = mask.astype(bool)
    hidden = ~visible
    if observed is not None:
        observed = np.asarray(observed)
        check_mask(observed, x.shape)
        visible = visible & observed.astype(bool)
        hidden = hidden & observed.astype(bool)
    part = visible_part(x, visible).numpy()
    return {"x": x, "condition": part, "mask": hidden.astype("float32")}
