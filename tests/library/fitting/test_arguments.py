import keras
import numpy as np
import pytest
import tensorflow as tf
from support import small

import kvae
from kvae.fitting.arguments import unpack_batch

X = small.binary()
ONES = np.ones(len(X), "float32")
EAGER = {"run_eagerly": True}  # the graph is not the point here


@pytest.fixture(scope="module")
def refusing():
    """A model that is never trained, because all are refused."""
    return small.vae()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X[:0], "x holds no examples"),
        (X[:, :3], r"takes examples of shape \(6,\); received x of shape \(50, 3\)"),
        (X[0], r"add the batch axis with x\[None\]"),
        (X.reshape(50, 3, 2), r"Reshape it: x.reshape\(-1, 6\)"),
        (np.where(X == 1, np.nan, X), "NaN or infinite, the first in example 0"),
        (np.where(X == 1, np.inf, X), "NaN or infinite"),
        (X + np.float64(1e39), r"larger than 1\.8e\+19.*can't hold"),
        (X * 255, r"pixels in \[0, 1\]; received min=0, max=255"),
        ((X * 255).astype("uint8"), r"x / 255\.0"),
        (X.astype(str), "x must be an array of numbers"),
        (X.tolist(), r"received list\. Convert a list with np\.asarray"),
        (None, "received NoneType"),
        ({"x": X, "mask": X[:, :3]}, r"mask must have the shape of x, \(50, 6\)"),
        ({"x": X, "mask": np.full(X.shape, "1")}, "booleans or the numbers 0 and 1"),
        (
            {"x": X, "mask": np.eye(50, 6)},
            "44 examples have no observed.*first is .* 6",
        ),
        ({"image": X}, r"a dict with 'x'.*received the keys \['image'\]"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
def test_data_that_do_not_fit_are_refused_before_any_step(refusing, method, x, message):
    with pytest.raises(ValueError, match=message):
        getattr(refusing, method)(x, verbose=0)
    assert int(refusing.step.value) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": np.arange(50)}, "trained without targets"),
        ({"y": 1 - X}, "y has the shape of x but different values"),
        ({"class_weight": {0: 1.0}}, "class_weight needs targets"),
        ({"sample_weight": np.ones(49)}, r"shape \(50,\); received shape \(49,\)"),
        ({"sample_weight": np.full(50, np.nan)}, "holds 50 entries that are NaN"),
        ({"validation_data": X * 3}, "max=3"),
        ({"validation_data": (X, np.arange(50))}, "trained without targets"),
        ({"validation_data": (X, None, np.ones(3))}, r"received shape \(3,\)"),
        ({"sample_weight": np.r_[-1.0, np.ones(49)]}, "at least 0.*received -1"),
        ({"sample_weight": np.ones(50) * 1j}, "dtype complex128"),
        ({"sample_weight": np.full(50, 1e39)}, "larger than 1.8e\\+19"),
        ({"epochs": -1}, "epochs must be an integer of at least 0; received -1"),
        ({"epochs": 1.5}, "epochs must be an integer"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be an integer of at least 1"),
        ({"validation_batch_size": -3}, "validation_batch_size must be .*received -3"),
    ],
)
def test_other_arguments_that_do_not_fit_are_refused(refusing, arguments, message):
    with pytest.raises(ValueError, match=message):
        refusing.fit(X, verbose=0, **arguments)
    assert int(refusing.step.value) == 0


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (tf.data.Dataset.from_tensor_slices(X), r"Batch it: dataset\.batch"),
        (tf.data.Dataset.from_tensor_slices(X[:0]).batch(8), "the data set is empty"),
        (tf.data.Dataset.from_tensor_slices(X + 1).batch(8), "max=2"),
        (tf.data.Dataset.from_tensor_slices((X, 1 - X)).batch(8), "different values"),
        (
            tf.data.Dataset.from_tensor_slices((X, np.arange(50), X[:, 0])).batch(8),
            "without targets",
        ),
    ],
)
def test_datasets_that_do_not_fit_are_refused(refusing, dataset, message):
    with pytest.raises(ValueError, match=message):
        refusing.fit(dataset, verbose=0)


@pytest.mark.slow
def test_examples_are_held_out_only_where_nothing_else_validates():
    steps = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(1)
    )
    for data, expected, validates in ((X[:7], 5, True), (None, 3, True)):
        model = small.vae(compile={"steps_per_execution": 1, **EAGER})
        given = {"validation_split": 0.5, "validation_data": data}
        history = model.fit(X, batch_size=10, callbacks=[count], verbose=0, **given)
        assert (len(steps), "val_loss" in history.history) == (expected, validates)
        steps.clear()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_split": 20}, "a fraction between 0 and 1 .* received 20"),
        ({"validation_split": 0.999}, "in both parts; received 0.999 for 50"),
        ({"batch_size": -1}, "batch_size must be an integer of at least 1"),
        ({"batch_size": 2.5}, "batch_size must be an integer of at least 1"),
    ],
)
def test_wrong_numbers_are_refused(refusing, arguments, message):
    with pytest.raises(ValueError, match=message):
        refusing.fit(X, verbose=0, **arguments)


def test_the_target_may_be_x_itself():
    history = small.vae(EAGER).fit(X, X, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_unpack_batch_tells_inputs_from_weights():
    weight = np.ones(50)
    for data in (X, (X,), {"x": X}, ({"x": X},)):
        inputs, none = unpack_batch(data)
        assert isinstance(inputs.x, tf.Tensor)  # Keras layers refuse a mix of kinds
        np.testing.assert_array_equal(inputs.x, X)
        assert none is None
    for y in (None, np.zeros((50, 0))):
        inputs, found = unpack_batch((X, y, weight))
        np.testing.assert_array_equal(inputs.x, X)
        np.testing.assert_array_equal(found, weight)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: {"x": X, "y": X.copy()},
        lambda: {"x": X, "y": X.copy(), "validation_data": (X, X.copy())},
        lambda: {"x": tf.data.Dataset.from_tensor_slices((X, X)).batch(50)},
        lambda: {"x": tf.data.Dataset.from_tensor_slices((X, X, ONES)).batch(50)},
        lambda: {"x": (pair for pair in [(X, X)]), "steps_per_epoch": 1},
    ],
    ids=["arrays", "validation", "pairs", "weighted", "generator"],
)
def test_x_as_its_own_target_trains_as_x_alone(make):
    """What every autoencoder tutorial writes."""
    options = {"batch_size": None, "shuffle": False, "verbose": 0}
    given = make()
    if isinstance(given["x"], np.ndarray):
        options["batch_size"] = 50
    pair, alone = small.vae(EAGER), small.vae(EAGER)
    pair.fit(**{**options, **given})
    alone.fit(X, **{**options, "batch_size": 50})
    assert small.largest_difference(pair, alone) < 1e-6


@pytest.mark.slow
def test_a_masked_array_is_trained_on_as_with_a_mask():
    hidden = np.zeros(X.shape, bool)
    hidden[:, 1] = True
    masked = np.ma.masked_array(np.where(hidden, 1e4, X), mask=hidden)
    model, plain = small.vae(EAGER), small.vae(EAGER)
    model.fit(masked, verbose=0, shuffle=False)
    plain.fit({"x": X, "mask": ~hidden}, verbose=0, shuffle=False)
    assert small.largest_difference(model, plain) == 0
    np.testing.assert_array_equal(
        model.elbo(masked), model.elbo({"x": X, "mask": ~hidden})
    )


def test_a_split_of_sorted_labels_is_warned_of(caplog):
    """Keras validates on the last examples, which may be of a class of their own."""
    model = kvae.VAE.for_data(X, latent_dim=2, condition=np.arange(50) // 25)
    model.compile(run_eagerly=True)
    data = {"x": X, "condition": np.arange(50) // 25}
    model.fit(data, validation_split=0.5, verbose=0)
    assert "no other example has their label 1" in caplog.text
    caplog.clear()
    model.fit({**data, "condition": np.arange(50) % 2}, validation_split=0.5, verbose=0)
    assert not [r for r in caplog.records if r.levelname == "WARNING"]
