"""Leaving out the steps whose gradient is too large."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kvae.types import Tensor


class GradientGuard:
    """Applies a gradient only if its norm over all weights is within a limit.

    A step that is left out changes neither weights nor optimizer.

    Args:
        optimizer: what applies it.
        limit: the largest norm, above 0.

    Raises:
        ValueError: if the limit is not above 0, or the model is on several devices.
    """

    def __init__(self, optimizer: Any, limit: float) -> None:
        if not limit > 0:
            raise ValueError(
                f"max_gradient_norm must be above 0; received {limit!r}. Take a few times "
                "the norm of a usual step, 1000 for example."
            )
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            raise ValueError(
                "max_gradient_norm works on one device; received a strategy with "
                f"{tf.distribute.get_strategy().num_replicas_in_sync}. Clip instead: "
                "keras.optimizers.Adam(global_clipnorm=100)."
            )
        self.optimizer = optimizer
        self.limit = limit

    def apply(self, gradients: list[Tensor], variables: list[Any]) -> Tensor:
        """Applies gradients or leaves them out.

        Args:
            gradients: of the scaled loss, as `optimizer.scale_loss` gives it.
            variables: as many.

        Returns:
            skipped: scalar float32, 1 if the step was left out, else 0.
        """
        if not self.optimizer.built:
            self.optimizer.build(variables)
        norm = tf.linalg.global_norm(gradients)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            # It leaves out what is not finite itself, and learns its scale from that.
            finite = tf.math.is_finite(norm)
            norm = norm / tf.cast(self.optimizer.scale_loss(1.0), norm.dtype)
            good = tf.logical_or(norm <= self.limit, tf.logical_not(finite))
        else:
            good = norm <= self.limit  # false of NaN

        def apply() -> Tensor:
            self.optimizer.apply(gradients, variables)
            return tf.constant(0.0)

        return tf.cond(good, apply, lambda: tf.constant(1.0))
