"""Several steps in one XLA program train as the same steps one by one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.fitting import joined_steps
from kvae.fitting.joined_steps import joins_steps
from kvae.networks import conv_decoder, conv_encoder

pytestmark = pytest.mark.slow

X = small.binary()


def joined(at_once=4, **compile):
    compile = {"steps_per_execution": at_once, "jit_compile": True, **compile}
    return small.vae(compile=compile)


def alone(**compile):
    return joined(1, **compile)


@pytest.fixture(scope="module")
def compiled():
    """A model that takes its steps alone, and one that joins four."""
    models = alone(), joined()
    return [(model, small.rewinder(model)) for model in models]


@pytest.fixture
def pair(compiled):
    """The two as they began; their XLA programs, which take seconds, are there."""
    for _, rewind in compiled:
        rewind()
    return [model for model, _ in compiled]


def batches(*sizes):
    """A data set of batches of these sizes."""
    ends = np.cumsum(sizes)
    rows = [X[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    spec = tf.TensorSpec((None, *X.shape[1:]), tf.float32)
    made = tf.data.Dataset.from_generator(lambda: iter(rows), output_signature=spec)
    return made.apply(tf.data.experimental.assert_cardinality(len(sizes)))


def same(one, other, **fit):
    histories = [
        model.fit(verbose=0, shuffle=False, **fit).history for model in (one, other)
    ]
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=2e-5, atol=1e-6)
    assert small.largest_difference(one, other) < 1e-5
    assert int(one.step.value) == int(other.step.value) > 0


@pytest.mark.parametrize(
    "sizes",
    [
        [5] * 8,  # two whole calls
        [5] * 6,  # a call and a half
        [5, 5, 5, 2, 5, 5, 5, 2],  # ragged at the end of a call
        [5, 2, 5, 5, 5],  # and within one
        [5],
    ],
)
def test_whatever_the_batches_are(pair, sizes):
    steps = []
    one, model = pair
    at_end = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(int(model.step.value))
    )
    same(one, model, x=batches(*sizes), epochs=2)
    model.fit(batches(*sizes), callbacks=[at_end], shuffle=False, verbose=0)
    assert steps[-1] == 3 * len(sizes)
    assert len(steps) == -(-len(sizes) // 4)  # calls, of four steps


def test_more_steps_at_once_than_one_program_takes(pair, monkeypatch):
    """Programs of 3, 2 and 2 steps; the data end after seven steps and four more."""
    monkeypatch.setattr(joined_steps, "_MOST", 3)
    model = joined(7)
    assert joins_steps(model)
    same(pair[0], model, x=batches(*[5] * 10).repeat(2).take(11), epochs=2)


@pytest.mark.parametrize(
    "options",
    [
        {
            "max_gradient_norm": 3.0,
            "optimizer": keras.optimizers.Adam(1e-2, use_ema=True),
        },
        {"optimizer": keras.optimizers.SGD(1e-2, gradient_accumulation_steps=3)},
    ],
    ids=["guard, ema", "accumulation"],
)
def test_whatever_the_optimizer_does(options):
    def again():
        given = dict(options)
        if optimizer := given.get("optimizer"):
            given["optimizer"] = type(optimizer).from_config(optimizer.get_config())
        return given

    same(alone(**again()), joined(**again()), x=X[:40], batch_size=5, epochs=3)


def test_sample_weights_go_along_and_a_schedule_moves_within_a_program():
    weight = np.linspace(0.0, 2.0, 40).astype("float32")
    warm_up = kvae.schedules.LinearWarmup(12)
    models = [
        small.vae(
            objective=kvae.objectives.ELBO(beta=warm_up),
            compile={"steps_per_execution": at_once, "jit_compile": True},
        )
        for at_once in (1, 4)
    ]
    same(*models, x=X[:40], sample_weight=weight, batch_size=5, epochs=2)


def test_who_joins():
    assert joins_steps(joined())
    assert not joins_steps(alone())
    assert not joins_steps(joined(jit_compile=False))
    assert not joins_steps(joined(run_eagerly=True, jit_compile=False))
    shape = (8, 8, 1)
    conv = kvae.VAE(
        conv_encoder(shape, (4,), units=8),
        conv_decoder(2, shape, (8, 4), units=8),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli(shape),
    )
    conv.compile(jit_compile=True, steps_per_execution=4)
    assert not joins_steps(conv)


def test_convolutions_that_are_not_trained_count_too():
    features = keras.Sequential(
        [keras.Input((6,)), keras.layers.Reshape((6, 1)), keras.layers.Conv1D(2, 3)]
    )
    compile = {"jit_compile": True, "steps_per_execution": 4}
    perceptual = small.vae(
        objective=kvae.objectives.Perceptual(distance=features), compile=compile
    )
    assert not joins_steps(perceptual)


def test_a_train_step_of_ones_own_reports_what_it_wants():
    class Counting(kvae.VAE):
        def train_step(self, data):
            super().train_step(data)
            return {"mine": tf.constant(7.0)}

    parts = small.vae()
    model = Counting(
        parts.encoder, parts.decoder, parts.posterior, parts.likelihood, seed=0
    )
    model.compile(jit_compile=True, steps_per_execution=4)
    history = model.fit(X[:20], batch_size=5, verbose=0).history
    assert history["mine"] == [7.0]


def test_other_iterators_and_single_batches_work(pair):
    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, index):
            return (X[5 * index : 5 * index + 5],)

    same(*pair, x=Rows(), epochs=1)
    assert np.isfinite(pair[1].train_on_batch(X[:5])).all()


def test_an_epoch_of_steps_from_endless_data(pair):
    endless = batches(*[5] * 10).repeat()
    same(*pair, x=endless, steps_per_epoch=8, epochs=3)
