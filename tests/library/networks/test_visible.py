import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae import networks, presets
from kvae.masks import visible_part, visible_shape

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
@pytest.mark.parametrize("series", [False, True])
def test_every_input_reaches_the_output(shape, series):
    if series and len(shape) != 2:
        pytest.skip("series have two axes")
    seen = visible_shape(shape)
    decoder = networks.visible_decoder(
        3, shape, seen, (8, 4), (5,), "tanh", series=series
    )
    inputs = {"z": normals(2, 3), "condition": normals(2, *seen)}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(tf.square(decoder(inputs)))
    gradients = tape.gradient(total, inputs)
    assert (np.abs(gradients["z"]) > 0).any()
    assert (np.abs(gradients["condition"]) > 0).all()


def test_networks_of_series_do_not_mix_up_steps_and_features():
    """A feature has no neighbors: its place in the convolutions is a channel."""
    shape, seen = (8, 3), (8, 3, 2)
    encoder = networks.visible_encoder(shape, seen, (4,), (5,), series=True)
    x, condition = normals(2, *shape), normals(2, *seen)
    assert encoder({"x": x, "condition": condition}).shape == (2, 5)
    kernel = encoder.trainable_weights[0]
    assert kernel.shape == (4, 1, 9, 4)  # x, visible x, and the mask of 3 features
    network = networks.visible_network(seen, (4,), (5,), series=True)
    assert network.trainable_weights[0].shape == (4, 1, 6, 4)
    decoder = networks.visible_decoder(3, shape, seen, (8, 4), (5,), series=True)
    features = decoder({"z": normals(2, 3), "condition": condition})
    assert features.shape == (2, 8, 4)


@SHAPES
def test_hidden_entries_stay_zero_in_standard_units(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(300.0, 2.0, (50, *shape)).astype("float32")
    mask = rng.integers(0, 2, x.shape).astype("float32")
    layer = networks.StandardizeVisible(shape)
    layer.adapt(x)
    found = layer(visible_part(x, mask))
    standard = mask * (x - x.mean()) / x.std()
    np.testing.assert_allclose(found, visible_part(standard, mask), atol=1e-3)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    assert again.get_config() == layer.get_config()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [None, "series"])
def test_completing_models_take_data_in_any_units(kind):
    """Scaled data give the same model in other units: the same loss of new weights."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 8, 8)).astype("float32")
    losses = []
    for scale, shift in ((1.0, 100.0), (1000.0, 5e4)):
        keras.utils.set_random_seed(0)
        vae = presets.completing_vae(
            scale * x + shift, 2, "left_half", (4, 4), (8,), seed=0, data_kind=kind
        )
        vae.compile("adam")
        found = vae.evaluate(scale * x + shift, verbose=0, return_dict=True)
        losses.append(found["distortion"] - 32 * np.log(scale))  # hidden entries
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
