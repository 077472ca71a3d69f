"""`jit_compile` and `steps_per_execution`, chosen where the user leaves them open."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.fitting.execution import STEPS_AT_ONCE, steps_at_once, steps_wanted
from kvae.networks import conv_decoder, conv_encoder, mlp

X = small.binary()


class Seen(keras.callbacks.Callback):
    """Notes the settings while a fit runs, and does not train."""

    def on_train_begin(self, logs=None):
        self.settings = self.model.steps_per_execution, bool(self.model.jit_compile)
        self.model.train_function = lambda iterator: {}
        self.model.stop_training = True


class HearsBatches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


def settings(model, x=X, callbacks=(), **options):
    seen = Seen()
    options = {"batch_size": 1, "epochs": 20, **options}
    model.fit(x, callbacks=[seen, *callbacks], verbose=0, **options)
    return seen.settings


def dense(units=400, **compile):
    model = kvae.VAE(
        mlp((6,), (units, units)),
        mlp((2,), (units,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli((6,)),
    )
    model.compile(**compile)
    return model


@pytest.fixture(autouse=True)
def cpu_alone(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])


def test_a_long_fit_of_a_large_dense_network_is_compiled_and_joins_steps():
    model = dense()
    assert settings(model) == (25, True)  # 2 calls are the 50 steps
    assert (model.steps_per_execution, bool(model.jit_compile)) == (1, False)  # after


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"epochs": 19}, (1, False)),  # 950 steps
        ({"epochs": 20, "validation_split": 0.1}, (1, False)),  # 900 steps
        ({"callbacks": [HearsBatches()]}, (1, True)),
        ({"callbacks": [keras.callbacks.LambdaCallback(lambda epoch, logs: 0)]}, None),
        (
            {
                "callbacks": [
                    keras.callbacks.LambdaCallback(
                        on_train_batch_end=lambda batch, logs: 0
                    )
                ]
            },
            (1, True),
        ),
        ({"validation_data": X, "validation_steps": 2}, (1, True)),
    ],
)
def test_what_the_fit_is_given_decides(options, expected):
    assert settings(dense(), **options) == (expected or (25, True))


def test_data_sets_keep_their_steps():
    endless = tf.data.Dataset.from_tensors(X[:1]).repeat()
    options = {"batch_size": None, "shuffle": False}
    assert settings(dense(), endless, steps_per_epoch=50, **options) == (1, True)
    batches = tf.data.Dataset.from_tensor_slices(X).batch(1)
    assert settings(dense(), batches, **options) == (1, True)
    unknown = batches.filter(lambda x: True)
    assert settings(dense(), unknown, **options) == (1, False)


@pytest.mark.parametrize(
    ("compile", "expected"),
    [
        ({"jit_compile": False}, (25, False)),
        ({"steps_per_execution": 1}, (1, True)),
        ({"steps_per_execution": 5, "jit_compile": True}, (5, True)),
        ({"run_eagerly": True}, (1, False)),
    ],
)
def test_the_user_overrides(compile, expected):
    assert settings(dense(**compile)) == expected


def test_small_networks_and_others_than_dense_are_not_compiled():
    assert settings(dense(units=16)) == (25, False)
    shape = (8, 8, 1)
    conv = kvae.VAE(
        conv_encoder(shape, (4,), units=1024),
        conv_decoder(2, shape, (8, 4), units=1024),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli(shape),
    )
    assert conv.count_params() > 100_000
    conv.compile()
    assert settings(conv, np.zeros((50, *shape), "float32")) == (25, False)


def test_a_saved_model_leaves_open_what_was_left_open(tmp_path):
    model = dense()
    model.fit(X[:4], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert settings(loaded) == (25, True)
    fixed = small.vae(compile={"steps_per_execution": 3})
    fixed.fit(X[:4], verbose=0)
    fixed.save(tmp_path / "fixed.keras")
    loaded = keras.saving.load_model(tmp_path / "fixed.keras")
    assert settings(loaded) == (3, False)


def test_joined_steps_train_as_single_ones():
    joined = small.vae()
    single = small.vae(compile={"steps_per_execution": 1})
    histories = [
        model.fit(X, batch_size=3, epochs=60, shuffle=False, verbose=0).history["loss"]
        for model in (joined, single)
    ]
    assert len(X) % 3  # the last batch is smaller
    np.testing.assert_allclose(*histories, rtol=1e-6)
    assert small.largest_difference(joined, single) < 1e-6
    assert int(joined.step.value) == int(single.step.value) == 60 * 17


@pytest.mark.parametrize(
    ("mebibytes", "wanted"), [(0.4, 24), (2, 16), (6.25, 5), (32, 1), (100, 1)]
)
def test_the_batches_of_a_call_take_32_mebibytes_at_most(mebibytes, wanted):
    assert steps_wanted(int(mebibytes * 2**20)) == wanted


def test_calls_of_large_batches_are_short():
    x = np.zeros((300, 2**16), "float32")  # 1/4 MiB per example
    model = kvae.VAE(
        mlp(x.shape[1:], (2,)),
        mlp((2,), (2,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli(x.shape[1:]),
    )
    model.compile()
    assert settings(model, x, batch_size=32, epochs=100) == (5, True)


@pytest.mark.parametrize("steps", [1, 7, 8, 17, 50, 64, 469, 997])
def test_an_epoch_is_whole_calls_or_little_more(steps):
    at_once = steps_at_once(steps, STEPS_AT_ONCE)
    assert at_once == steps if steps < 12 else 12 <= at_once <= min(48, steps)
    assert -steps % at_once <= 2
