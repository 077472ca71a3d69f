"""Callbacks that act where an epoch begins, or count batches, resume to the bit."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
from support import small

import kvae
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


def made() -> kvae.VAE:
    """With averages of weights; so few steps are not worth a graph."""
    adam = keras.optimizers.Adam(0.01, use_ema=True)
    return small.vae({"optimizer": adam, "run_eagerly": True})


def variables(model: kvae.VAE) -> list[np.ndarray]:
    found = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in found]


def check_same(left: kvae.VAE, right: kvae.VAE) -> None:
    for a, b in zip(variables(left), variables(right), strict=True):
        assert a.tobytes() == b.tobytes()


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
    tmp_path: pathlib.Path, make: Any, every: str, killed: int | None
) -> None:
    def run(folder: str, *more: Any) -> tuple[kvae.VAE, Any]:
        vae = made()
        callbacks = [Checkpoint(tmp_path / folder, every), make(), *more]
        held = X[:16] if killed is None else None
        return vae, vae.fit(X, validation_data=held, callbacks=callbacks, **FIT).history

    whole, history = run("whole")
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(killed))
    resumed, again = run("cut")
    check_same(whole, resumed)
    assert again == history
    if make is halving:
        assert float(resumed.optimizer.learning_rate) == np.float32(0.01 / 8)


@pytest.mark.slow
def test_models_are_saved_after_the_same_batches(tmp_path: pathlib.Path) -> None:
    """Every 4 of 3 * 5 batches: number 3 of epoch 1, 2 of epoch 2, 1 of epoch 3."""

    def run(folder: str, *more: Any) -> dict[str, bytes]:
        path = tmp_path / folder
        name = str(path / "{epoch}-{batch}.weights.h5")
        saves = keras.callbacks.ModelCheckpoint(
            name, save_freq=4, save_weights_only=True
        )
        vae = made()
        vae.fit(X, callbacks=[Checkpoint(path, "1 step"), saves, *more], **FIT)
        found = {}
        for file in sorted(path.glob("*.h5")):
            vae.load_weights(file)
            found[file.name] = b"".join(a.tobytes() for a in variables(vae))
        return found

    whole = run("whole")
    assert list(whole) == [f"{at}.weights.h5" for at in ("1-4", "2-3", "3-2")]
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(4))
    assert run("cut") == whole


def test_arrays_with_steps_per_epoch_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="steps_per_epoch under a Checkpoint needs a"):
        made().fit(X, steps_per_epoch=3, callbacks=[Checkpoint(tmp_path)], **FIT)
