"""Arrays in batches: which examples a fit sees, and in which order."""

import gc
import types

import keras
import numpy as np
import pytest
from support import small

from kvae.fitting.array_batches import in_batches

COUNT = 50
X = np.arange(COUNT * 6, dtype="float32").reshape(COUNT, 6)


def one_device(replicas=1):
    strategy = types.SimpleNamespace(num_replicas_in_sync=replicas)
    return types.SimpleNamespace(distribute_strategy=strategy)


def batches(**arguments):
    given = {"x": X, "batch_size": 8, **arguments}
    return in_batches(one_device(), given)["x"]


def seen(dataset):
    return np.concatenate(list(dataset.as_numpy_iterator()))


def test_every_pass_has_each_example_once_in_another_order():
    dataset = batches()
    gc.collect()  # the data set alone holds what its order comes from
    first, second = seen(dataset), seen(dataset)
    for one in (first, second):
        np.testing.assert_array_equal(one[np.argsort(one[:, 0])], X)
    assert not np.array_equal(first, second)
    assert [len(b) for b in dataset.as_numpy_iterator()] == [8] * 6 + [2]
    assert int(dataset.cardinality()) == 7


@pytest.mark.parametrize(("size", "known"), [(10, 10), (8, None)])
def test_a_batch_size_that_is_always_the_same_is_known(size, known):
    dataset = batches(batch_size=size)
    assert dataset.element_spec.shape == (known, 6)
    assert len(seen(dataset)) == COUNT


@pytest.mark.slow
def test_orders_are_uniform():
    keras.utils.set_random_seed(0)
    dataset = batches(x=X[:10]).take(1)
    first = [int(seen(dataset)[0, 0]) // 6 for _ in range(200)]
    counts = np.bincount(first, minlength=10)
    chi2 = np.sum(np.square(counts - 20) / 20)  # 9 degrees of freedom
    assert 1.15 < chi2 < 27.9  # 0.1 % of uniform draws on either side


def test_the_global_seed_repeats_the_orders():
    orders = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        dataset = batches()
        orders.append(np.stack([seen(dataset), seen(dataset)]))
    np.testing.assert_array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])


def test_without_shuffling_the_order_is_that_of_the_arrays():
    np.testing.assert_array_equal(seen(batches(shuffle=False)), X)


def test_what_belongs_to_an_example_goes_with_it():
    x = {"x": X, "condition": X[:, 0].astype("int64")}
    weight, placeholder = X[:, 1], np.zeros((COUNT, 0), "float32")
    taken = batches(x=x, y=placeholder, sample_weight=weight)
    for given, _, weights in taken.as_numpy_iterator():
        np.testing.assert_array_equal(given["condition"], given["x"][:, 0])
        np.testing.assert_array_equal(weights, given["x"][:, 1])


def test_the_last_examples_are_held_out():
    given = {"x": X, "batch_size": 8, "validation_split": 0.25}
    arguments = in_batches(one_device(), given)
    found = seen(arguments["x"])
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], X[:37])
    np.testing.assert_array_equal(arguments["validation_data"], X[37:])
    assert arguments["validation_batch_size"] == 8


@pytest.mark.parametrize(
    ("arguments", "replicas"),
    [
        ({"shuffle": "batch"}, 1),
        ({"steps_per_epoch": 3}, 1),
        ({}, 2),
    ],
)
def test_what_keras_does_in_its_own_way_is_left_to_it(arguments, replicas):
    given = {"x": X, **arguments}
    assert in_batches(one_device(replicas), given) is given


@pytest.mark.slow
def test_a_fit_repeats_with_the_seed():
    x = small.binary()
    model = small.vae()
    rewind = small.rewinder(model)
    found = []
    for seed in (1, 1, 2):
        rewind()
        keras.utils.set_random_seed(seed)
        model.fit(x, batch_size=7, epochs=3, validation_split=0.1, verbose=0)
        found.append(np.concatenate([w.ravel() for w in small.weights(model)]))
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0
