"""What a model is conditioned on, and the checks of conditions that users pass."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import check_finite
from kvae.core.types import Tensor
from kvae.networks import OneHot
from kvae.networks.call import declared_inputs

_SHOWN = 12  # classes named in a message


@dataclasses.dataclass(frozen=True)
class Condition:
    """The conditions that a model takes.

    Attributes:
        shape: of one condition; () for a label or a single number.
        classes: the known labels, or None if the condition is not a label.
        dtype: "int32" for labels, else that of the model's maths.
    """

    shape: tuple[int, ...]
    classes: tuple[int, ...] | None
    dtype: str

    @classmethod
    def of(cls, model: Any) -> Condition | None:
        """Reads from a model's parts what it is conditioned on.

        Args:
            model: a `kvae.VAE`.

        Returns:
            condition: None if the model takes no condition, or if its networks do not
                name their inputs and it is not built yet.
        """
        shape = None
        for network in (model.encoder, model.decoder):
            if "condition" in (declared_inputs(network) or ()):
                shape = network.input["condition"].shape[1:]
        shapes = (model.get_build_config() or {"input_shape": {}})["input_shape"]
        if shape is None and "condition" in shapes:
            shape = shapes["condition"][1:]
        if shape is None:
            return None
        layers = model._flatten_layers(include_self=False)
        labels = [layer.labels for layer in layers if isinstance(layer, OneHot)]
        shape = tuple(shape)
        if shape or not labels:
            return cls(shape, None, model.maths_dtype)
        common = set(labels[0]).intersection(*labels)
        return cls((), tuple(k for k in labels[0] if k in common), "int32")

    def __str__(self) -> str:
        """Describes the condition in words, for messages."""
        if self.classes is None:
            return f"arrays of shape {self.shape}" if self.shape else "numbers"
        return f"the labels {list_classes(self.classes)}"

    def check(self, condition: Any) -> np.ndarray:
        """Checks the conditions of several examples.

        Args:
            condition: (N, *shape), as given by a user.

        Returns:
            condition: in `dtype`.

        Raises:
            ValueError: for a wrong dtype or shape, NaN, infinity, or an unseen label.
        """
        array = np.asarray(condition)
        self._check_dtype(array)
        if array.ndim == 0 or array.shape[1:] != self.shape:
            wanted = ", ".join(map(str, ("N", *self.shape)))
            raise ValueError(
                f"condition must have shape ({wanted}), one row per example; received "
                f"{array.shape}. This model is conditioned on {self}."
            )
        return self._check_values(array)

    def guard(self, condition: Tensor) -> Tensor:
        """Checks one batch inside a graph: the shape now, labels at each step.

        XLA drops checks of values, so there an unseen label counts as a missing one.
        """
        condition = tf.convert_to_tensor(condition)
        tf.ensure_shape(condition, (None, *self.shape))
        if self.classes is None:
            return condition
        if not (condition.dtype.is_integer or condition.dtype.is_bool):
            raise ValueError(
                "condition must hold integers, because this model is conditioned on "
                f"{self}; received dtype={condition.dtype.name}."
            )
        labels = tf.cast(condition, tf.int64)  # int32 would take 2**32 for 0
        classes = tf.constant(self.classes, tf.int64)
        seen = tf.reduce_any(labels[:, None] == classes, axis=1)
        message = (
            f"condition holds a label that is not one of {list_classes(self.classes)}"
        )
        check = tf.debugging.Assert(tf.reduce_all(seen), [message, labels])
        with tf.control_dependencies([check] if check is not None else []):
            return tf.cast(labels, tf.int32)

    def broadcast(self, condition: Any, num: int | None) -> np.ndarray:
        """Checks conditions for `num` samples; a single one counts for all of them.

        Args:
            condition: (num, *shape), (1, *shape) or `shape`.
            num: how many samples; None takes as many as there are conditions.

        Returns:
            condition: (num, *shape).

        Raises:
            ValueError: as `check`, or if there are not `num` conditions.
        """
        array = np.asarray(condition)
        if array.shape == self.shape:
            array = array[None]
        array = self.check(array)
        if num is None or len(array) == num:
            return array
        if len(array) != 1:
            raise ValueError(
                f"condition must have one row for each of the num={num} samples, or one "
                f"row for all; received {len(array)}."
            )
        return np.repeat(array, num, axis=0)

    def blank(self, num: Tensor | int) -> Tensor:
        """Makes `num` conditions that any model takes, for building it: (num, *shape)."""
        value = self.classes[0] if self.classes else 0
        return tf.fill((num, *self.shape), tf.constant(value, self.dtype))

    def _check_dtype(self, array: np.ndarray) -> None:
        kinds = "iub" if self.classes is not None else "fiub"
        if array.dtype.kind not in kinds:
            wanted = "integers" if self.classes is not None else "numbers"
            advice = "np.unique(labels, return_inverse=True)[1]"
            raise ValueError(
                f"condition must hold {wanted}, because this model is conditioned on "
                f"{self}; received dtype={array.dtype}. Convert it, for example with "
                f"{advice if array.dtype.kind in 'OUS' else '.astype(int)'}."
            )

    def _check_values(self, array: np.ndarray) -> np.ndarray:
        if self.classes is None:
            check_finite(array, None, self.dtype, "condition")
        else:
            unseen = np.setdiff1d(array, self.classes)
            if len(unseen):
                raise ValueError(
                    f"condition holds the label {unseen[0]}, which this model has not "
                    f"seen: its classes are {list_classes(self.classes)}."
                )
        return array.astype(self.dtype)


def check_condition(expected: Condition | None, given: Any, built: bool) -> Any:
    """Compares the condition that a user passes with the one that a model takes.

    Args:
        expected: of the model.
        given: (N, ...) or None; a tensor is a batch inside a step.
        built: whether the model is built, so that `expected=None` means that it takes
            none.

    Returns:
        condition: as `Condition.check` or `guard` returns it, or None.

    Raises:
        ValueError: if the condition is missing, unexpected, or wrong.
    """
    if expected is not None:
        if given is None:
            raise ValueError(
                f"this model is conditioned on {expected}; received no condition. Pass "
                'a dict, {"x": x, "condition": c}, or sample(num, condition=c).'
            )
        return expected.guard(given) if tf.is_tensor(given) else expected.check(given)
    if given is None or not built:
        return given
    raise ValueError(
        f"this model takes no condition; received one of shape {np.shape(given)}. Leave "
        "it out, or build a conditional model: VAE.for_data(x, condition=c)."
    )


def check_visible_part(objective: Any, condition: Any) -> np.ndarray | None:
    """Returns a condition as an array, or None; a completing model must have one.

    Raises:
        ValueError: if the model was trained to complete and there is none.
    """
    if condition is None and objective.makes_condition:
        raise ValueError(
            "this model was trained to complete, so its condition is the visible "
            "part; received none. Call vae.complete(x, mask), or make the inputs with "
            "kvae.masks.given_visible(x, mask)."
        )
    return None if condition is None else np.asarray(condition)


def list_classes(classes: tuple[int, ...]) -> str:
    """Lists classes in words: "0 .. 9", "1, 4, 7", or the first few of many."""
    steps = (b - a for a, b in itertools.pairwise(classes))
    if len(classes) > 2 and all(step == 1 for step in steps):
        return f"{classes[0]} .. {classes[-1]}"
    more = ", ..." if len(classes) > _SHOWN else ""
    return ", ".join(map(str, classes[:_SHOWN])) + more
