"""A loss that leaves the numbers: which step, which layer, and nothing spoilt is kept."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.tiny_models import pixels, tiny_vae

from kvae.training import Checkpoint, Diverged, StopOnDivergence
from kvae.training.checkpoint.diagnosis import _bad_gradient

X = pixels(100)


def make(rate: float = 0.01, **compile: Any) -> Any:
    keras.utils.set_random_seed(0)
    vae = tiny_vae()
    vae.compile(keras.optimizers.SGD(rate), **compile)
    return vae


def poisoned(bad: int) -> tf.data.Dataset:
    """Batches of which number `bad`, from 0, is NaN."""

    def spoil(index: Any, batch: Any) -> Any:
        return tf.where(index == bad, batch * np.nan, batch)

    return tf.data.Dataset.from_tensor_slices(X).batch(8).enumerate().map(spoil)


@pytest.mark.slow
@pytest.mark.parametrize("every", ["never", "3 steps"])
def test_step_and_layer_are_named_and_the_weights_are_those_before(
    tmp_path: pathlib.Path, every: str
) -> None:
    """The batch is known, so the step is; the first layer to see it is the encoder's."""
    vae = make(steps_per_execution=3)
    callbacks = [StopOnDivergence(), Checkpoint(tmp_path, every)]
    with pytest.raises(Diverged) as caught:
        vae.fit(poisoned(7), epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
    assert "diverged at step 8: the loss of its batch is nan" in str(caught.value)
    assert "encoder: dense" in str(caught.value)
    assert "the first layer whose output is not finite" in str(caught.value)
    assert "Lower the learning rate" in str(caught.value)
    before = make()
    before.fit(poisoned(7).take(7), epochs=1, verbose=0, shuffle=False)
    assert int(vae.step.numpy()) == 7
    for a, b in zip(vae.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_an_explosion_is_stopped_while_the_loss_is_still_a_number(
    tmp_path: pathlib.Path,
) -> None:
    callbacks = [Checkpoint(tmp_path), StopOnDivergence()]
    vae = make(1e3)
    with pytest.raises(Diverged, match="first layer to give large values") as caught:
        vae.fit(X, batch_size=8, epochs=3, verbose=0, callbacks=callbacks)
    step = int(str(caught.value).split("at step ")[1].split(":")[0])
    loss = float(str(caught.value).split("batch is ")[1].split(",")[0])
    assert step >= 2
    assert np.isfinite(loss)
    first = callbacks[1].first
    assert loss - first > 1000 * max(abs(first), 1)
    assert int(vae.step.numpy()) == step - 1
    assert all(np.isfinite(w).all() for w in vae.get_weights())


def test_without_a_checkpoint_it_stops_all_the_same() -> None:
    with pytest.raises(Diverged, match="the loss is nan. Lower the learning rate"):
        make().fit(
            poisoned(2),
            epochs=1,
            verbose=0,
            shuffle=False,
            callbacks=StopOnDivergence(),
        )


def test_spoilt_weights_are_never_saved(tmp_path: pathlib.Path) -> None:
    class Spoil(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 4:
                weight = self.model.trainable_variables[2]
                weight.assign(np.full(weight.shape, np.nan))

    with pytest.raises(Diverged):
        make().fit(
            X,
            batch_size=8,
            epochs=1,
            verbose=0,
            callbacks=[Spoil(), Checkpoint(tmp_path, "1 step")],
        )
    assert max(tmp_path.glob("checkpoints/*.npz")).stem == "000000-000000004"


def test_a_large_loss_that_falls_and_a_negative_one_are_fine() -> None:
    stop = StopOnDivergence()
    assert not stop.is_bad(1e9)
    assert not stop.is_bad(2e9)
    assert stop.is_bad(2e12)
    stop.on_train_begin()
    assert not stop.is_bad(-50.0)
    assert not stop.is_bad(30_000.0)
    assert stop.is_bad(60_000.0)
    assert stop.is_bad(float("inf"))
    with pytest.raises(ValueError, match="growth"):
        StopOnDivergence(0)


@pytest.mark.slow
def test_what_does_not_come_again_leaves_the_weights_of_the_checkpoint(
    tmp_path: pathlib.Path,
) -> None:
    class Once(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 5:
                raise Diverged("seen once.")

    vae, before = make(), make()
    fit: dict[str, Any] = {"batch_size": 8, "verbose": 0, "shuffle": False}
    with pytest.raises(Diverged, match="the weights are those of epoch 1, step 4"):
        vae.fit(X, callbacks=[Checkpoint(tmp_path, "4 steps"), Once()], **fit)
    before.fit(X[:32], **fit)
    assert int(vae.step.numpy()) == 4
    for a, b in zip(vae.get_weights(), before.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_the_gradient_is_followed_from_the_loss_back_to_the_data() -> None:
    """Root of relu is 0 where its slope is none; likelihood's weights are not spoilt."""
    vae = make()
    layer = vae.decoder.layers[-1]
    call = layer.call
    layer.call = lambda x, **_: tf.sqrt(tf.nn.relu(call(x) - 10.0))
    place = _bad_gradient(vae, X[:8])
    path = layer.trainable_variables[-1].path
    assert place == f"the gradient of {path} is the first that is not finite"
