"""The state of training, read and put back."""

import random

import keras
import numpy as np
import pytest
from support import small

from kvae.training.checkpoint.callback_state import callback_states, set_callback_states
from kvae.training.checkpoint.training_state import (
    bad_variables,
    random_states,
    read,
    set_random_states,
    state_variables,
    write,
)


def test_every_variable_that_training_changes_is_listed() -> None:
    """Independent form: all variables that differ after a fit."""
    vae = small.vae()
    known = [*vae.variables, *vae.optimizer.variables]
    state, metrics = state_variables(vae)
    before = read(known)
    vae.fit(small.binary(), epochs=1, verbose=0)
    changed = [
        v
        for v, was in zip(known, before, strict=False)
        if not np.array_equal(keras.ops.convert_to_numpy(v), was)
    ]
    assert len(changed) > 10
    assert {id(v) for v in changed} <= {id(v) for v in state}
    assert {v.path.split("/")[0] for v in metrics} >= {"loss", "elbo", "active_units"}


def test_what_is_written_is_what_was_read() -> None:
    vae = small.vae()
    state, _ = state_variables(vae)
    before = read(state)
    vae.fit(small.binary(), epochs=1, verbose=0)
    write(state, before)
    for now, was in zip(read(state), before, strict=True):
        np.testing.assert_array_equal(now, was)


def test_variables_that_are_no_numbers_are_named() -> None:
    vae = small.vae()
    assert bad_variables(vae) == []
    weight = vae.trainable_variables[1]
    weight.assign(np.full(weight.shape, np.inf))
    assert bad_variables(vae) == [weight.path]


def test_generators_of_python_and_numpy_go_on() -> None:
    states = random_states()
    wanted = random.random(), np.random.normal(size=3).tolist()
    random.seed(1)
    np.random.seed(1)
    set_random_states(states)
    assert (random.random(), np.random.normal(size=3).tolist()) == wanted


def test_a_callback_of_ones_own_takes_part() -> None:
    class Counts(keras.callbacks.Callback):
        saved_attributes = ("numbers",)

        def __init__(self) -> None:
            super().__init__()
            self.numbers: dict[str, object] = {}

    first, second = Counts(), Counts()
    first.numbers = {"a": [1, 2.5, None], "b": [np.arange(3), np.float32(2.0)]}
    arrays: list[np.ndarray] = [np.zeros(1)]
    set_callback_states([second], callback_states([first], arrays), arrays)
    assert second.numbers["a"] == [1, 2.5, None]
    array, number = second.numbers["b"]  # type: ignore[misc]
    np.testing.assert_array_equal(array, np.arange(3))
    assert number == pytest.approx(2.0)
