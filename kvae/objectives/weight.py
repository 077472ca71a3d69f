"""The weight of an objective: a number that can be assigned, or a schedule."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor

Schedule = keras.optimizers.schedules.LearningRateSchedule


class Weight:
    """One weight in an objective, at least 0.

    A number becomes a Keras weight of the objective, because a Python number would be
    frozen when the graph is traced. A schedule is a function of `model.step`, which is
    saved with the model, so a resumed run continues where it stopped. A metric reports
    the value of a schedule.

    Args:
        owner: the objective, which holds the Keras weight.
        name: the name of the argument.
        value: a finite number of at least 0, or any Keras learning-rate schedule.
        metric: the name of the metric for a schedule; `name` if None.

    Raises:
        ValueError: if the value is neither.
    """

    def __init__(
        self,
        owner: keras.layers.Layer,
        name: str,
        value: Any,
        metric: str | None = None,
    ) -> None:
        self.name = name
        self.metric = name if metric is None else metric
        self.value = value
        self._owner_name = type(owner).__name__
        self._variable = None
        if isinstance(value, Schedule):
            return
        if not _is_weight(value):
            raise ValueError(
                f"{self._owner_name} expects {name} >= 0, or a schedule such as "
                f"kvae.schedules.LinearWarmup(steps=1000); received {value!r}."
            )
        self._variable = owner.add_weight(
            name=name,
            shape=(),
            # Keras' Constant would round the number to float32.
            initializer=lambda shape, dtype: tf.fill(shape, tf.constant(value, dtype)),
            trainable=False,
            autocast=False,
        )

    def at(self, model: Any, dtype: Any) -> Tensor:
        """Returns the weight at the model's step, a scalar."""
        if self._variable is not None:
            return keras.ops.cast(self._variable, dtype)
        return keras.ops.cast(self.value(model.step.value), dtype)

    def metrics(self, model: Any) -> dict[str, Tensor]:
        """Returns the value of a schedule by its metric's name; empty for a number."""
        if self._variable is not None:
            return {}
        return {self.metric: self.at(model, "float32")}

    @property
    def current(self) -> Any:
        """The Keras variable, or the schedule."""
        return self.value if self._variable is None else self._variable

    def assign(self, value: float) -> None:
        """Sets the number.

        Raises:
            ValueError: if the weight follows a schedule, or the value is not a weight.
        """
        if self._variable is None:
            raise ValueError(
                f"{self.name} of this {self._owner_name} follows the schedule "
                f"{self.value!r} and cannot be assigned. Make the objective with a number."
            )
        if not _is_weight(value):
            raise ValueError(
                f"{self._owner_name} expects {self.name} >= 0; received {value!r}."
            )
        self._variable.assign(value)

    def config(self) -> Any:
        """Returns the argument as `get_config` does."""
        if self._variable is None:
            return keras.saving.serialize_keras_object(self.value)
        return self.value


class Weighted:
    """An objective with a term whose weight is read and assigned as `weight`."""

    _weight: Weight

    @property
    def weight(self) -> Any:
        """The weight of the term: a Keras variable, or the schedule it follows."""
        return self._weight.current

    @weight.setter
    def weight(self, value: float) -> None:
        """Assigns a number, which the next step uses."""
        self._weight.assign(value)


def _is_weight(value: Any) -> bool:
    if isinstance(value, (bool, str)):
        return False
    try:
        return is_number(float(value)) and float(value) >= 0
    except (TypeError, ValueError, OverflowError):
        return False
