"""A fit that is interrupted and resumes is, to the bit, one that was not."""

import os
import pathlib
import signal
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small
from support.tiny_models import DATA_SHAPE, DIM, pixels

import kvae
from kvae.core.errors import UserError
from kvae.networks import mlp
from kvae.training import Checkpoint, training_batches
from kvae.training.checkpoint.stop_signals import Terminated

X = pixels(60)
WEIGHT = np.linspace(0.5, 2.0, len(X)).astype("float32")


class Killed(keras.callbacks.Callback):
    """Ends a fit in the middle of an epoch, as an exception from anywhere would."""

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__()
        self.moment = (epoch, batch)
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.moment:
            raise RuntimeError("killed")


def make(adversarial: bool = False, **compile: Any) -> kvae.VAE:
    """With Dropout, whose state no .keras file holds, and a KL that warms up."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.layers.Input(DATA_SHAPE),
            keras.layers.Dense(8, "tanh"),
            keras.layers.Dropout(0.3),
        ]
    )
    objective = kvae.objectives.ELBO(beta=kvae.schedules.LinearWarmup(20))
    if adversarial:
        objective = kvae.objectives.Adversarial(objective, start_step=5)
    vae = kvae.VAE(
        encoder,
        mlp((DIM,), (8,), "tanh", role="decoder"),
        kvae.posteriors.DiagonalNormal(DIM),
        kvae.likelihoods.Bernoulli(DATA_SHAPE),
        objective=objective,
    )
    vae.compile(**{"optimizer": keras.optimizers.Adam(0.01)} | compile)
    return vae


def everything(vae: kvae.VAE) -> list[np.ndarray]:
    own = [
        v
        for optimizer, _ in vae.objective.own_optimizers()
        for v in optimizer.variables
    ]
    variables = [*vae.variables, *vae.optimizer.variables, *own]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def check_same(left: list[np.ndarray], right: list[np.ndarray]) -> None:
    for a, b in zip(left, right, strict=True):
        assert a.tobytes() == b.tobytes()


class Again:
    """One model, put back before each fit: one of its own would compile again."""

    def __init__(self, **arguments: Any) -> None:
        self.vae = make(**arguments)
        self.rewind = small.rewinder(self.vae)

    def fit(self, *data: Any, **arguments: Any) -> tuple[list[np.ndarray], Any]:
        """Returns everything after the fit, and the history."""
        self.rewind()
        history = self.vae.fit(*data, **{"verbose": 0} | arguments)
        return everything(self.vae), history


@pytest.fixture(scope="module")
def plain() -> Again:
    return Again()


def ema() -> Any:
    return keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9)


CASES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "as it is": ({}, []),
    "compiled, several steps": ({"jit_compile": True, "steps_per_execution": 3}, []),
    "averages of weights": (
        {"optimizer": ema},
        [lambda: keras.callbacks.SwapEMAWeights()],
    ),
    "a discriminator with an optimizer of its own": ({"adversarial": True}, []),
}


@pytest.mark.parametrize(
    "case",
    [c if not CASES[c][0] else pytest.param(c, marks=pytest.mark.slow) for c in CASES],
)
def test_arrays_go_on_bit_for_bit(tmp_path: pathlib.Path, case: str) -> None:
    compile, makers = CASES[case]
    again = Again(**{k: v() if callable(v) else v for k, v in compile.items()})

    def run(folder: str, *more: Any, every: str = "never") -> tuple[list[Any], Any]:
        return again.fit(
            X,
            sample_weight=WEIGHT,
            validation_data=None if compile.get("jit_compile") else X[:20],
            batch_size=8,
            epochs=3,
            callbacks=[
                *more,
                *(m() for m in makers),
                Checkpoint(tmp_path / folder, every),
            ],
        )

    whole, history = run("whole")
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(1, 6), every="3 steps")
    np.random.seed(7)  # the process that resumes has another state
    resumed, found = run("cut", every="1 minute")
    check_same(whole, resumed)
    assert found.history == history.history
    assert found.epoch == history.epoch
    assert len(list((tmp_path / "cut" / "checkpoints").glob("*.npz"))) == 2


@pytest.mark.slow
def test_arrays_come_as_often_as_without_and_in_order_if_so_asked(
    tmp_path: pathlib.Path,
) -> None:
    """Without shuffling the data are those of Keras, so the weights must be too."""

    again = Again(steps_per_execution=3)
    fit: dict[str, Any] = {"batch_size": 8, "epochs": 2}
    kept = {**fit, "shuffle": False, "validation_split": 0.2}
    plain, history = again.fit(X, **kept)
    steps = int(again.vae.step.numpy())
    ours, found = again.fit(X, callbacks=[Checkpoint(tmp_path)], **kept)
    check_same(plain, ours)
    assert found.history == history.history
    shuffled, _ = again.fit(X[:48], callbacks=[Checkpoint(tmp_path / "b")], **fit)
    assert int(again.vae.step.numpy()) == steps
    assert not np.array_equal(shuffled[3], plain[3])


@pytest.mark.parametrize("kind", ["endless", "begun again each epoch"])
@pytest.mark.slow
def test_data_sets_go_on_bit_for_bit(tmp_path: pathlib.Path, kind: str) -> None:
    again = Again(steps_per_execution=3)

    def run(folder: str, *more: Any) -> tuple[list[np.ndarray], Any]:
        if kind == "endless":  # the third execution takes the first batch of the next
            data, steps = training_batches(X, 8, seed=3), 8
        else:
            data, steps = tf.data.Dataset.from_tensor_slices(X).batch(8), None
        callbacks = [*more, Checkpoint(tmp_path / folder, "1 step")]
        arguments: dict[str, Any] = {"epochs": 3, "shuffle": False}
        return again.fit(data, steps_per_epoch=steps, callbacks=callbacks, **arguments)

    whole, history = run("whole")
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(1, 6))
    resumed, found = run("cut")
    check_same(whole, resumed)
    assert found.history == history.history


@pytest.mark.slow
def test_early_stopping_and_learning_rates_remember(tmp_path: pathlib.Path) -> None:
    """The rate is so high that the best epoch is soon over; the moments must agree."""

    fast = Again(optimizer=keras.optimizers.Adam(0.3))

    def run(folder: str, *more: Any) -> tuple[list[np.ndarray], Any, Any]:
        stopping = keras.callbacks.EarlyStopping(
            "val_loss", patience=3, restore_best_weights=True
        )
        plateau = keras.callbacks.ReduceLROnPlateau("val_loss", patience=2)
        checkpoint = Checkpoint(tmp_path / folder, "1 epoch")
        end, history = fast.fit(
            X,
            validation_data=X[:20],
            batch_size=16,
            epochs=40,
            callbacks=[checkpoint, plateau, stopping, *more],
        )
        return end, history, stopping

    whole, history, stopping = run("whole")
    stopped = stopping.stopped_epoch
    assert 3 <= stopped < 39
    with pytest.raises(RuntimeError, match="killed"):
        run("cut", Killed(stopped - 1, 2))
    resumed, again, found = run("cut")
    check_same(whole, resumed)
    assert again.history == history.history
    assert found.stopped_epoch == stopped
    assert found.best_epoch == stopping.best_epoch
    # Run once more, it knows that it is over, and what was best.
    finished, third, _ = run("cut")
    check_same(whole, finished)
    assert third.history == history.history


@pytest.mark.slow
def test_mixed_float16_keeps_its_loss_scale(tmp_path: pathlib.Path) -> None:
    with small.policy("mixed_float16"):
        again = Again()
        again.vae.optimizer.dynamic_growth_steps = 5  # so that the scale moves here

        def run(folder: str, *more: Any) -> list[np.ndarray]:
            callbacks = [*more, Checkpoint(tmp_path / folder, "1 step")]
            return again.fit(X, batch_size=8, epochs=2, callbacks=callbacks)[0]

        whole = run("whole")
        assert float(again.vae.optimizer.dynamic_scale.numpy()) > 2**15
        with pytest.raises(RuntimeError, match="killed"):
            run("cut", Killed(1, 3))
        check_same(whole, run("cut"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)],
)
def test_a_signal_saves_after_the_batch_and_stops(
    plain: Again, tmp_path: pathlib.Path, number: int, error: type[BaseException]
) -> None:
    class Signal(Killed):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if (self.epoch, batch) == self.moment:
                os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    fit: dict[str, Any] = {"batch_size": 8, "epochs": 2}
    with pytest.raises(error) as caught:
        plain.fit(X, callbacks=[Checkpoint(tmp_path, "never"), Signal(1, 4)], **fit)
    if number == signal.SIGTERM:
        assert caught.value.code == 143  # type: ignore[attr-defined]
    assert signal.getsignal(number) is handler
    assert max(tmp_path.glob("checkpoints/*.npz")).stem == "000001-000000005"
    whole, _ = plain.fit(X, callbacks=[Checkpoint(tmp_path / "whole")], **fit)
    resumed, _ = plain.fit(X, callbacks=[Checkpoint(tmp_path)], **fit)
    check_same(whole, resumed)


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_only_time(
    plain: Again, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit: dict[str, Any] = {"batch_size": 8, "epochs": 2}
    whole, _ = plain.fit(X, callbacks=[Checkpoint(tmp_path / "whole")], **fit)
    callbacks = [Checkpoint(tmp_path, "1 step"), Killed(1, 5)]
    with pytest.raises(RuntimeError, match="killed"):
        plain.fit(X, callbacks=callbacks, **fit)
    last = max(tmp_path.glob("checkpoints/*.npz"))
    changed = bytearray(last.read_bytes())
    changed[len(changed) // 2] ^= 1
    last.write_bytes(changed)
    resumed, _ = plain.fit(X, callbacks=[Checkpoint(tmp_path)], **fit)
    assert f"{last} is damaged" in caplog.text
    check_same(whole, resumed)


def test_what_cannot_be_resumed_is_refused(
    plain: Again, tmp_path: pathlib.Path
) -> None:
    plain.fit(X, batch_size=8, epochs=1, callbacks=[Checkpoint(tmp_path)])
    other = kvae.VAE.for_data(X, latent_dim=5)
    other.compile("adam")
    with pytest.raises(UserError, match="of another model, optimizer or precision"):
        other.fit(X, epochs=2, verbose=0, callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(UserError, match="generator can.t be read again"):
        plain.fit(
            ((X[:8],) for _ in range(9)),
            steps_per_epoch=3,
            callbacks=[Checkpoint(tmp_path / "b")],
        )
    with pytest.raises(UserError, match="an interval is"):
        Checkpoint(tmp_path, "sometimes")
