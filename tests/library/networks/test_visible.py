import numpy as np
import pytest
import tensorflow as tf

from kvae import networks
from kvae.masks import visible_shape

SHAPES = pytest.mark.parametrize("shape", [(6,), (8, 8), (7, 5, 1), (8, 6, 3)])


def normals(*shape):
    return tf.random.stateless_normal(shape, [1, 2])


@SHAPES
def test_every_network_takes_every_kind_of_data(shape):
    seen = visible_shape(shape)
    x, condition = normals(2, *shape), normals(2, *seen)
    encoder = networks.masked_encoder(shape, (4,), (5,))
    assert encoder({"x": x, "mask": tf.ones_like(x)}).shape == (2, 5)
    encoder = networks.visible_encoder(shape, seen, (4,), (5,))
    assert encoder({"x": x, "condition": condition}).shape == (2, 5)
    decoder = networks.visible_decoder(3, shape, seen, (8, 4), (5,))
    features = decoder({"z": normals(2, 3), "condition": condition})
    wanted = (2, 5) if len(shape) == 1 else (2, *shape[:2], 4)
    assert features.shape == wanted
    assert networks.visible_network(seen, (4,), (5,))(condition).shape == (2, 5)


@SHAPES
def test_every_input_reaches_the_output(shape):
    seen = visible_shape(shape)
    decoder = networks.visible_decoder(3, shape, seen, (8, 4), (5,), "tanh")
    inputs = {"z": normals(2, 3), "condition": normals(2, *seen)}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(tf.square(decoder(inputs)))
    gradients = tape.gradient(total, inputs)
    assert (np.abs(gradients["z"]) > 0).any()
    assert (np.abs(gradients["condition"]) > 0).all()
