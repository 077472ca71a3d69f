"""Skips the steps whose gradient is too large."""

from __future__ import annotations

import logging
from typing import Any

import keras
import tensorflow as tf

from kvae.core.checks import is_number
from kvae.core.types import Tensor
from kvae.fitting.apply_gradients import apply_gradients

_LOG = logging.getLogger("kvae")


class GradientGuard:
    """Applies a gradient only if its norm over all weights is within a limit.

    A skipped step changes neither weights nor optimizers.

    Args:
        limit: the largest norm, above 0.

    Raises:
        ValueError: if the limit is not above 0, or the model is on several devices.
    """

    def __init__(self, limit: float) -> None:
        if not is_number(limit) or limit <= 0:
            raise ValueError(
                f"max_gradient_norm must be above 0; received {limit!r}. Use a few "
                "times the norm of a typical step, for example 1000."
            )
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "max_gradient_norm works on one device; received a strategy with "
                f"{tf.distribute.get_strategy().num_replicas_in_sync}. Clip instead: "
                "keras.optimizers.Adam(global_clipnorm=100)."
            )
        self.limit = limit
        self.norm = tf.Variable(0.0, trainable=False)  # of the latest gradient

    def apply(
        self, groups: list[tuple[Any, list[Any]]], gradients: list[list[Tensor]]
    ) -> Tensor:
        """Applies all gradients, or skips the step.

        Args:
            groups: optimizers, each with its variables.
            gradients: of the loss that the first one's `scale_loss` gives, as many.

        Returns:
            skipped: scalar float32, 1 if the step was skipped, else 0.
        """
        optimizer, variables = groups[0]
        if not optimizer.built:
            optimizer.build(variables)
        every = [gradient for given in gradients for gradient in given]
        norm = tf.linalg.global_norm(every)
        norm = norm / tf.cast(optimizer.scale_loss(1.0), norm.dtype)
        self.norm.assign(tf.cast(norm, self.norm.dtype))
        good = norm <= self.limit  # false of NaN
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # This optimizer itself skips gradients that are not finite, and lowers its
            # scale. The norm of finite entries may overflow all the same.
            good = tf.logical_or(good, tf.logical_not(_finite(every)))

        def apply() -> Tensor:
            apply_gradients(groups, gradients)
            return tf.constant(0.0)

        return tf.cond(good, apply, lambda: tf.constant(1.0))

    def watched(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Adds a callback that stops after an epoch in which every step was skipped."""
        given = arguments.get("callbacks")
        if isinstance(given, keras.callbacks.CallbackList):  # complete as it is
            return arguments
        callbacks = [*keras.tree.flatten(given or []), _Idle(self)]
        return {**arguments, "callbacks": callbacks}


class _Idle(keras.callbacks.Callback):
    """Stops training if every step of an epoch was skipped.

    The next epoch has the same weights, so it would be skipped as well.
    """

    def __init__(self, guard: GradientGuard) -> None:
        super().__init__()
        self._guard = guard
        self._begin = (0, 0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the counts so far, which are not 0 if a run resumes within an epoch."""
        skipped = self.model.get_metrics_result()["skipped_steps"]
        self._begin = (int(self.model.step.numpy()), int(skipped))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares the skipped steps with all steps."""
        steps = int(self.model.step.numpy()) - self._begin[0]
        skipped = int((logs or {}).get("skipped_steps", 0)) - self._begin[1]
        if 0 < steps == skipped:
            self.model.stop_training = True
            _LOG.warning(
                "training stopped: every step of epoch %d was skipped, because the norm "
                "of its gradient was above max_gradient_norm=%g or not a number; the "
                "last one was %.3g. Raise the limit, or look at the data.",
                epoch + 1,
                self._guard.limit,
                float(self._guard.norm),
            )


def _finite(gradients: list[Tensor]) -> Tensor:
    entries = tf.nest.flatten(gradients, expand_composites=True)
    floats = [e for e in entries if e is not None and e.dtype.is_floating]
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(e)) for e in floats])
