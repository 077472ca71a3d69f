import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.networks import mlp
from kvae.networks.call import call_network

X = tf.ones((4, 3))
LABEL = tf.constant([0, 1, 1, 0])


def one_input():
    given = keras.Input((3,))
    return keras.Model(given, keras.layers.Dense(2)(given))


@pytest.mark.parametrize(
    "make", [one_input, lambda: keras.Sequential([keras.layers.Dense(2)]), mlp]
)
@pytest.mark.filterwarnings("error")
def test_a_network_of_one_input_gets_x_alone_and_nobody_warns(make):
    network = make() if make is not mlp else mlp((3,), (2,))
    got = call_network(network, ("x", X), {"condition": LABEL}, False)
    np.testing.assert_array_equal(got, network(X))


def test_a_network_of_named_inputs_gets_what_it_names():
    network = mlp((3,), (2,), classes=2)
    got = call_network(
        network, ("x", X), {"condition": LABEL, "mask": tf.zeros((4, 3))}, False
    )
    np.testing.assert_array_equal(got, network({"x": X, "condition": LABEL}))
    with pytest.raises(ValueError, match="the data have no condition. Pass a dict"):
        call_network(network, ("x", X), {"condition": None}, False)


def test_any_other_layer_gets_a_dict_of_what_is_there():
    class Sees(keras.layers.Layer):
        def call(self, inputs):
            return ", ".join(sorted(inputs)) if isinstance(inputs, dict) else "x"

    given = {"condition": LABEL, "mask": None}
    assert call_network(Sees(), ("x", X), given, False) == "condition, x"
    assert call_network(Sees(), ("x", X), {"condition": None}, False) == "x"
