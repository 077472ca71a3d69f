"""Integer labels as vectors."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_size, is_integer
from kvae.core.types import Tensor


@keras.saving.register_keras_serializable(package="kvae")
class OneHot(keras.layers.Layer):
    """Turns integer labels into one-hot vectors.

        one_hot[b, k] = 1 if label[b] == classes[k] else 0

    A dense layer on top of it is a learned embedding: its rows are the embeddings. A
    label outside the classes would give zeros; a `kvae.VAE` finds this layer in its
    networks and refuses such labels.

    Args:
        classes: the labels in their order, or a number n for 0 .. n-1.
        **kwargs: passed to `keras.layers.Layer`.

    Raises:
        ValueError: if there is no class, one is given twice, or is not an int32.
    """

    def __init__(self, classes: int | tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        given: Any = classes.tolist() if isinstance(classes, np.ndarray) else classes
        if is_integer(given) and given > 0:
            self.labels = tuple(range(check_size("classes", given)))
        elif isinstance(given, (tuple, list)) and all(map(is_integer, given)):
            self.labels = tuple(map(int, given))
        else:
            self.labels = ()
        if any(abs(label) >= 2**31 for label in self.labels):
            raise ValueError(
                "OneHot expects labels of less than 2**31; received "
                f"{max(self.labels, key=abs)}. Number them with "
                "np.unique(labels, return_inverse=True)[1]."
            )
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(
                "OneHot expects a positive number of classes, or different integers; "
                f"received {classes!r}. Use np.unique(labels)."
            )

    def call(self, label: Tensor) -> Tensor:
        """Maps labels (B,) to vectors (B, classes)."""
        hit = tf.equal(tf.cast(label, tf.int32)[:, None], tf.constant(self.labels))
        return tf.cast(hit, self.compute_dtype)

    def compute_output_shape(
        self, label_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns (B, classes)."""
        return (label_shape[0], len(self.labels))

    def compute_output_spec(self, label: Any) -> Any:
        """Returns shape and dtype: floats, though the labels are integers."""
        shape = self.compute_output_shape(label.shape)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        number = is_integer(self.classes)
        classes = len(self.labels) if number else list(self.labels)
        return {**super().get_config(), "classes": classes}
