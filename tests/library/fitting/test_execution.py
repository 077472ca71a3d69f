"""How steps are run: as `compile` says, and how many share a call."""

import keras
import pytest
from support import small

import kvae
from kvae.fitting.execution import STEPS_AT_ONCE, steps_at_once, steps_wanted
from kvae.networks import mlp

X = small.binary()


class OneEpoch(keras.callbacks.Callback):
    """Stops after the first epoch, whatever `epochs` says."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


def first_epoch(epochs, **compile):
    keras.utils.set_random_seed(3)
    model = kvae.VAE(
        mlp((6,), (400, 400)),  # so large that XLA would pay
        mlp((2,), (400,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli((6,)),
        seed=0,
    )
    model.compile(**compile)
    history = model.fit(
        X, batch_size=1, epochs=epochs, callbacks=[OneEpoch()], verbose=0
    )
    return model, history.history["loss"][0]


@pytest.mark.slow
def test_the_length_of_a_fit_changes_no_number():
    """A thousand steps and more take the path that ten take."""
    model, loss = first_epoch(epochs=1)
    assert first_epoch(epochs=100)[1] == loss
    assert (model.steps_per_execution, bool(model.jit_compile)) == (1, False)
    # XLA, asked for by name, draws other noise: the test would see it.
    assert first_epoch(epochs=1, jit_compile=True)[1] != loss


@pytest.mark.parametrize(
    ("mebibytes", "wanted"), [(0.4, 24), (2, 16), (6.25, 5), (32, 1), (100, 1)]
)
def test_the_batches_of_a_call_take_32_mebibytes_at_most(mebibytes, wanted):
    assert steps_wanted(int(mebibytes * 2**20)) == wanted


@pytest.mark.parametrize("steps", [1, 7, 8, 17, 50, 64, 469, 997])
def test_an_epoch_is_whole_calls_or_little_more(steps):
    at_once = steps_at_once(steps, STEPS_AT_ONCE)
    assert at_once == steps if steps < 12 else 12 <= at_once <= min(48, steps)
    assert -steps % at_once <= 2
