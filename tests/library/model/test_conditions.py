"""Conditions: labels, vectors and images, given once, given wrong, and said in words."""

import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.model.conditions import list_classes
from kvae.networks import OneHot, mlp

X = small.binary(40)
LABELS = np.tile([2, 5, 9, 5], 10)
DATA = {"x": X, "condition": LABELS}
CLASSES = (2, 5, 9)


def labeled(**parts):
    defaults = {
        "encoder": mlp((6,), (8,), "tanh", classes=CLASSES),
        "decoder": mlp((2,), (8,), "tanh", role="decoder", classes=CLASSES),
    }
    return small.vae(**{**defaults, **parts})


@pytest.fixture(scope="module")
def vae():
    model = labeled()
    model.fit(DATA, epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def plain():
    return small.vae()


def test_the_decoder_sees_the_label_of_each_sample(vae):
    """Sample i with condition c is the decoder's mean at the i-th latent and c."""
    mixed = vae.sample(4, seed=3, condition=[9, 2, 2, 5])
    for i, label in enumerate([9, 2, 2, 5]):
        alike = vae.sample(4, seed=3, condition=label)
        np.testing.assert_allclose(mixed[i], alike[i], atol=1e-6)
    assert np.abs(mixed[0] - vae.sample(4, seed=3, condition=2)[0]).max() > 1e-4


def test_one_condition_counts_for_all(vae):
    expected = vae.sample(5, seed=1, condition=[9] * 5)
    for given in (9, [9], np.array([9]), np.int64(9)):
        np.testing.assert_array_equal(vae.sample(5, seed=1, condition=given), expected)
    assert vae.sample(condition=[2, 5, 9], seed=1).shape == (3, 6)
    z = np.zeros((3, 2))
    np.testing.assert_array_equal(
        vae.decode(z, 9).mean(), vae.decode(z, [9, 9, 9]).mean()
    )


def test_a_vector_of_one_condition_counts_for_all():
    options = {"condition_shape": (3,)}
    model = labeled(
        encoder=mlp((6,), (8,), **options),
        decoder=mlp((2,), (8,), role="decoder", **options),
    )
    vector = [0.5, 1.0, -1.0]
    np.testing.assert_array_equal(
        model.sample(4, seed=1, condition=vector),
        model.sample(4, seed=1, condition=[vector] * 4),
    )
    with pytest.raises(ValueError, match=r"shape \(N, 3\), one row per example"):
        model.sample(4, condition=[1.0, 2.0])
    with pytest.raises(ValueError, match="condition holds 1 entries that are NaN"):
        model.sample(4, condition=[np.nan, 1.0, 2.0])


@pytest.mark.usefixtures("eagerly")
def test_labels_are_one_hot_vectors_to_the_model():
    """The same weights with one-hot vectors as condition give the same ELBO."""
    model = labeled()
    options = {"condition_shape": (3,)}
    twin = labeled(
        encoder=mlp((6,), (8,), "tanh", **options),
        decoder=mlp((2,), (8,), "tanh", role="decoder", **options),
    )
    twin.set_weights(model.get_weights())
    vectors = np.eye(3)[np.searchsorted(CLASSES, LABELS)]
    np.testing.assert_allclose(
        model.elbo(DATA), twin.elbo({"x": X, "condition": vectors}), rtol=1e-6
    )


MISSING = "this model is conditioned on the labels 2, 5, 9; received no condition"
WRONG = {
    "none": (None, MISSING),
    "unseen": (LABELS + 1, "holds the label 3, which this model has not seen: its cla"),
    "floats": (LABELS.astype("float32"), r"must hold integers.*received dtype=float32"),
    "names": (LABELS.astype(str), r"received dtype=<U.*return_inverse"),
    "one-hot": (np.eye(10)[LABELS].astype(int), r"shape \(N\), one row .*\(40, 10\)"),
    "too few": (LABELS[:3], "must have one row per example; received 40 and 3"),
    "a scalar": (np.int64(5), r"one row per example; received \(\)"),
}


@pytest.mark.parametrize("method", ["fit", "evaluate", "encode", "reconstruct", "elbo"])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_conditions_of_data_are_refused(vae, method, wrong, monkeypatch):
    monkeypatch.setattr(tf, "function", None)  # before any graph
    condition, message = WRONG[wrong]
    data = {"x": X} if condition is None else {"x": X, "condition": condition}
    with pytest.raises(ValueError, match=message):
        getattr(vae, method)(data)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, MISSING),
        (3, "holds the label 3, which this model has not seen"),
        (1.5, "must hold integers, because"),
        (
            [2, 5],
            "one row for each of the num=4 samples, or one row for all; received 2",
        ),
        ([[2]] * 4, r"shape \(N\), one row"),
    ],
)
def test_wrong_conditions_of_samples_are_refused(vae, condition, message):
    with pytest.raises(ValueError, match=message):
        vae.sample(4, condition=condition)
    with pytest.raises(ValueError, match=message.replace("num=4", "num=4")):
        vae.decode(np.zeros((4, 2)), condition)


def test_an_unconditional_model_takes_no_condition(plain):
    message = "this model takes no condition; received one of shape"
    for call in (
        lambda: plain.fit(DATA, verbose=0),
        lambda: plain.elbo(DATA),
        lambda: plain.encode(DATA),
        lambda: plain.sample(3, condition=7),
        lambda: plain.decode(np.zeros((3, 2)), [1, 2, 3]),
        lambda: plain.train_on_batch({"x": X, "condition": LABELS}),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_a_data_set_is_checked_at_each_step(vae):
    labels = LABELS.copy()
    labels[30] = 4
    data = tf.data.Dataset.from_tensor_slices({"x": X, "condition": labels}).batch(20)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not one of 2, 5, 9"):
        vae.evaluate(data, verbose=0)


@pytest.mark.usefixtures("eagerly")
def test_labels_of_any_integer_dtype_and_a_saved_model(vae, tmp_path):
    expected = vae.elbo(DATA)
    for dtype in ("uint8", "int64"):
        other = {"x": X, "condition": LABELS.astype(dtype)}
        np.testing.assert_array_equal(vae.elbo(other), expected)
    vae.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.condition == vae.condition
    np.testing.assert_array_equal(loaded.elbo(DATA), expected)


@pytest.mark.usefixtures("eagerly")
def test_a_prior_alone_may_take_the_label():
    model = small.vae(prior=kvae.priors.ConditionalNormal(2, OneHot(CLASSES)))
    model.fit(DATA, epochs=1, verbose=0)
    assert model.condition.classes == CLASSES
    assert model.sample(3, condition=5).shape == (3, 6)
    with pytest.raises(ValueError, match="has not seen"):
        model.sample(3, condition=0)
    with pytest.raises(ValueError, match="labels, which are names, not quantities"):
        small.vae(prior=kvae.priors.ConditionalNormal(2)).prior(LABELS)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (tuple(range(10)), "0 .. 9"),
        ((2, 5, 9), "2, 5, 9"),
        ((0, 1), "0, 1"),
        (tuple(range(0, 40, 2)), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, ..."),
    ],
)
def test_classes_in_words(classes, words):
    assert list_classes(classes) == words


def test_ids_far_apart_are_named_without_counting_through_them():
    """Ids and timestamps are labels too; a range between two of them fills memory."""
    tracemalloc.start()
    assert list_classes((0, 1, 2, 10**7)) == "0, 1, 2, 10000000"
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert list_classes((3, 4, 5)) == "3 .. 5"
    assert list_classes((1, 0, 2)) == "1, 0, 2"


def test_a_label_beyond_int32_is_not_taken_for_another_inside_a_step(vae):
    """2**32 + 2 is 2 in 32 bits, and 2 is a class."""
    batch = {"x": tf.constant(X[:2]), "condition": tf.constant([2, 2**32 + 2])}
    with pytest.raises(tf.errors.InvalidArgumentError, match="not one of 2, 5, 9"):
        vae.test_on_batch(batch)


def test_labels_that_are_no_integers_are_refused_inside_a_step(vae):
    batch = {"x": tf.constant(X[:2]), "condition": tf.constant([2.0, 5.7])}
    with pytest.raises(ValueError, match="must hold integers.*float32"):
        vae.test_on_batch(batch)
