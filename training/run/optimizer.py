"""Makes the optimizer and its learning-rate schedule from a configuration."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from kvae.core.errors import UserError, nearest, user_errors
from kvae.training.config.config import Config


def make_optimizer(config: Config, total_steps: int) -> Any:
    """Makes the optimizer of a configuration.

    The learning rate is constant, or falls along a half cosine from `learning_rate` at
    the first step to `final_learning_rate * learning_rate` at the last one. With
    `ema_momentum`, the optimizer averages the weights, and `fit` ends with the averages.

    Args:
        config: of the run.
        total_steps: of the whole run.

    Returns:
        optimizer: of `keras.optimizers`.

    Raises:
        UserError: if there is no such optimizer.
    """
    known: dict[str, Any] = {
        name.lower(): value
        for name, value in vars(keras.optimizers).items()
        if inspect.isclass(value)
        and issubclass(value, keras.optimizers.Optimizer)
        and value is not keras.optimizers.Optimizer
        and name != "LossScaleOptimizer"
    }
    maker = known.get(config.optimizer.replace("_", "").lower())
    if maker is None:
        raise UserError(
            f"there is no optimizer {config.optimizer!r}. "
            f"{nearest(config.optimizer, known)}"
        )
    # From an integer rate, Keras would make a schedule in integers.
    rate: Any = float(config.learning_rate)
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            rate, total_steps, alpha=config.final_learning_rate
        )
    options: dict[str, Any] = {"global_clipnorm": config.clip_norm}
    if config.weight_decay is not None:  # some optimizers have a default of their own
        options["weight_decay"] = config.weight_decay
    if config.ema_momentum is not None:
        options |= {"use_ema": True, "ema_momentum": config.ema_momentum}
    with user_errors("optimizer"):
        return maker(rate, **options)
