import json

import keras
import numpy as np
import pytest

from kvae.networks import OneHot


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_labels_become_the_rows_of_the_identity(dtype):
    labels = np.array([4, 1, 1, 9], dtype)
    got = OneHot((1, 4, 9))(labels)
    np.testing.assert_array_equal(got, np.eye(3)[[1, 0, 0, 2]])
    np.testing.assert_array_equal(OneHot(10)(labels), np.eye(10)[labels])


def test_a_dense_layer_on_top_is_an_embedding():
    dense = keras.layers.Dense(5, use_bias=False)
    got = dense(OneHot(4)(np.array([2, 0])))
    np.testing.assert_array_equal(got, dense.kernel.numpy()[[2, 0]])


def test_it_is_saved_with_a_network(tmp_path):
    label = keras.Input((), dtype="int32")
    model = keras.Model(label, OneHot((3, 7))(label))
    assert model.output.dtype == "float32"
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(loaded(np.array([7, 3])), [[0, 1], [1, 0]])


@pytest.mark.parametrize("classes", [np.array([3, 7]), np.int64(2)])
def test_classes_of_numpy_are_saved_too(classes, tmp_path):
    layer = OneHot(classes)
    keras.Sequential([keras.Input((), dtype="int32"), layer]).save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras").layers[-1]
    assert loaded.labels == layer.labels
    assert json.loads(json.dumps(loaded.get_config())) == layer.get_config()


@pytest.mark.parametrize("classes", [0, (), (1, 1)])
def test_classes_must_differ_and_exist(classes):
    with pytest.raises(ValueError, match="a positive number of classes, or different"):
        OneHot(classes)
