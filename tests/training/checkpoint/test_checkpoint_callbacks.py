"""Callbacks that act where an epoch begins, or count batches, resume to the bit."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
from support import small

from kvae.core.errors import UserError
from kvae.training import Checkpoint

X = small.binary(40)
FIT: dict[str, Any] = {"batch_size": 8, "epochs": 3, "verbose": 0}


class Killed(keras.callbacks.Callback):
    """Ends a fit before a batch of the second epoch, or of its validation."""

    def __init__(self, batch: int | None) -> None:
        super().__init__()
        self.batch = batch
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == (1, self.batch):
            raise RuntimeError("killed")

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.epoch == 1 and self.batch is None:
            raise RuntimeError("killed")


class Again:
    """A model with averages of weights, put back before each fit."""

    def __init__(self) -> None:
        self.vae = small.vae({"optimizer": keras.optimizers.Adam(0.01, use_ema=True)})
        self.rewind = small.rewinder(self.vae)

    def fit(self, **arguments: Any) -> tuple[list[np.ndarray], Any]:
        """Returns all variables after the fit, and its history."""
        self.rewind()
        history = self.vae.fit(X, **FIT, **arguments).history
        return self.variables(), history

    def variables(self) -> list[np.ndarray]:
        found = [*self.vae.variables, *self.vae.optimizer.variables]
        return [np.array(keras.ops.convert_to_numpy(v)) for v in found]


@pytest.fixture(scope="module")
def again() -> Again:
    return Again()


def halving() -> Any:
    return keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)


def swapping() -> Any:
    return keras.callbacks.SwapEMAWeights(swap_on_epoch=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "every", "killed"),
    [
        (halving, "1 step", 3),  # saved within an epoch
        (halving, "5 steps", None),  # before the validation
        (halving, "1 epoch", 2),  # where an epoch begins
        (swapping, "1 step", 3),
        (swapping, "1 epoch", 2),
    ],
)
def test_what_is_done_where_an_epoch_begins_is_done_once(
    again: Again, tmp_path: pathlib.Path, make: Any, every: str, killed: int | None
) -> None:
    def run(folder: str, *more: Any) -> tuple[list[np.ndarray], Any]:
        callbacks = [Checkpoint(tmp_path / folder, every), make(), *more]
        held = X[:16] if killed is None else None
        return again.fit(validation_data=held, callbacks=callbacks)

    whole, history = run("whole")
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(killed))
    resumed, found = run("cut")
    for a, b in zip(whole, resumed, strict=True):
        assert a.tobytes() == b.tobytes()
    assert found == history
    if make is halving:
        assert float(again.vae.optimizer.learning_rate) == np.float32(0.01 / 8)


@pytest.mark.slow
def test_models_are_saved_after_the_same_batches(
    again: Again, tmp_path: pathlib.Path
) -> None:
    """Every 4 of 3 * 5 batches: number 3 of epoch 1, 2 of epoch 2, 1 of epoch 3."""

    def run(folder: str, *more: Any) -> dict[str, bytes]:
        path = tmp_path / folder
        name = str(path / "{epoch}-{batch}.weights.h5")
        saves = keras.callbacks.ModelCheckpoint(
            name, save_freq=4, save_weights_only=True
        )
        again.fit(callbacks=[Checkpoint(path, "1 step"), saves, *more])
        found = {}
        for file in sorted(path.glob("*.h5")):
            again.vae.load_weights(file)
            found[file.name] = b"".join(a.tobytes() for a in again.variables())
        return found

    whole = run("whole")
    assert list(whole) == [f"{at}.weights.h5" for at in ("1-4", "2-3", "3-2")]
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(4))
    assert run("cut") == whole


def test_arrays_with_steps_per_epoch_are_refused(
    again: Again, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(UserError, match="steps_per_epoch under a Checkpoint needs a"):
        again.fit(steps_per_epoch=3, callbacks=[Checkpoint(tmp_path)])
