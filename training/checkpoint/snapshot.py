"""The contents of a checkpoint: arrays, and facts as JSON types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.training.checkpoint.callback_state import callback_states
from kvae.training.checkpoint.resume_check import fit_facts
from kvae.training.checkpoint.training_state import random_states, read, state_variables


def snapshot(
    model: Any,
    callbacks: Sequence[Any],
    seconds: float,
    belongs_to: dict[str, Any] | None,
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Copies everything that decides how training continues.

    Args:
        model: compiled and built.
        callbacks: those of the fit, with Keras' history.
        seconds: of training so far.
        belongs_to: what decides the numbers of the run, as JSON types.

    Returns:
        arrays: of variables, then of callbacks.
        facts: how many they are, and all the rest.
    """
    state, metrics = state_variables(model)
    arrays = [*read(state), *read(metrics)]
    facts = {
        "state": len(state),
        "metrics": len(metrics),
        "callbacks": callback_states(callbacks, arrays),
        "random": random_states(),
        "seconds": seconds,
        "stopped": bool(model.stop_training),
        "fit": fit_facts(model),
        "belongs_to": belongs_to,
    }
    return arrays, facts
