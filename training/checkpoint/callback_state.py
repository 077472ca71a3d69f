"""What callbacks remember between epochs, saved and restored."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

_LOG = logging.getLogger("kvae")
_ARRAY = "__array__"

# What Keras' own callbacks keep; ours list it in `saved_attributes`.
_KERAS: dict[Any, tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: (
        "wait",
        "best",
        "best_epoch",
        "stopped_epoch",
        "best_weights",
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    keras.callbacks.ModelCheckpoint: (
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
    ),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.History: ("history", "epoch"),
}


def callback_states(
    callbacks: Sequence[Any], arrays: list[np.ndarray]
) -> list[dict[str, Any]]:
    """Collects what callbacks remember.

    Args:
        callbacks: of a fit. A user's own callback takes part if it has
            `saved_attributes`, the names of attributes that are numbers, strings,
            arrays, or lists and dicts of these.
        arrays: receives the arrays that are found.

    Returns:
        states: for JSON, one for each callback that has any.
    """
    return [
        {
            "class": type(callback).__name__,
            "state": {n: _pack(getattr(callback, n), arrays) for n in names},
        }
        for callback in callbacks
        if (names := _names(callback))
    ]


def set_callback_states(
    callbacks: Sequence[Any], states: Sequence[Any], arrays: Sequence[np.ndarray]
) -> None:
    """Restores what callbacks remembered; warns of callbacks without a saved state."""
    waiting = list(states)
    for callback in callbacks:
        if not _names(callback):
            continue
        name = type(callback).__name__
        mine = next((s for s in waiting if s["class"] == name), None)
        if mine is None:
            _LOG.warning("the checkpoint has no state of %s; it starts afresh.", name)
            continue
        waiting.remove(mine)
        for attribute, value in mine["state"].items():
            setattr(callback, attribute, _unpack(value, arrays))


def no_saves(callbacks: Sequence[Any]) -> None:
    """Prevents saving models under the names of skipped batches.

    This lasts until `set_callback_states` restores the counts.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.ModelCheckpoint):
            callback._batches_seen_since_last_saving = -math.inf


def _names(callback: Any) -> tuple[str, ...]:
    for kind, names in _KERAS.items():
        if isinstance(callback, kind):
            return names
    return tuple(getattr(callback, "saved_attributes", ()))


def _pack(value: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, dict):
        return {str(key): _pack(item, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pack(item, arrays) for item in value]
    if hasattr(value, "__array__"):
        arrays.append(np.asarray(value))
        return {_ARRAY: len(arrays) - 1}
    return value


def _unpack(value: Any, arrays: Sequence[np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return arrays[value[_ARRAY]][()]  # a NumPy number stays one
        return {key: _unpack(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    return value
