"""The layers that networks are made of move numbers and lose none."""

import keras
import numpy as np
import pytest

from kvae.networks import (
    Crop,
    DepthToSpace,
    Projection,
    Unflatten,
    conv_decoder,
    conv_encoder,
    mlp,
)


def test_unflatten_is_a_reshape():
    x = np.arange(24.0).reshape(2, 12)
    np.testing.assert_array_equal(Unflatten((3, 4))(x), x.reshape(2, 3, 4))


def test_crop_keeps_the_top_left():
    x = np.arange(2 * 5 * 6 * 3.0).reshape(2, 5, 6, 3)
    np.testing.assert_array_equal(Crop(4, 2)(x), x[:, :4, :2])


def test_depth_to_space_moves_channels_as_defined():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 12))
    found = DepthToSpace(2)(x).numpy()
    assert found.shape == (2, 6, 8, 3)
    # Row 2i + a and column 2j + b come from the block (a, b) of the channels.
    blocks = (
        x.reshape(2, 3, 4, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(found.shape)
    )
    np.testing.assert_allclose(found, blocks, rtol=1e-6)


@pytest.mark.parametrize(
    ("data_shape", "per_entry", "features", "kind"),
    [
        ((4,), (), (2, 5), keras.layers.Dense),
        ((3, 3, 2), (), (2, 5), keras.layers.Dense),
        ((3, 3, 2), (4,), (2, 3, 3, 6), keras.layers.Conv2D),
        ((3, 3), (), (2, 3, 3, 6), keras.layers.Conv2D),
        ((3, 3, 2), (), (2, 2, 2, 6), keras.layers.Dense),
    ],
)
def test_projection_has_one_parameter_per_entry(data_shape, per_entry, features, kind):
    layer = Projection(data_shape, per_entry)
    found = layer(np.ones(features, "float32"))
    assert found.shape == (2, *data_shape, *per_entry)
    assert layer.compute_output_shape(features) == found.shape
    assert isinstance(layer._linear, kind)


@pytest.mark.parametrize(
    "layer",
    [Unflatten((3, 4)), Crop(4, 2), DepthToSpace(2), Projection((3,), (2,), "ones")],
    ids=lambda layer: type(layer).__name__,
)
def test_config_round_trip(layer):
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize("shape", [(7, 9), (8, 8, 1), (5, 12, 3), (1, 1, 2)])
@pytest.mark.parametrize("filters", [(4,), (4, 3), (4, 3, 2)])
def test_convolutional_networks_take_images_of_any_size(shape, filters):
    image = np.ones((2, *shape), "float32")
    assert conv_encoder(shape, filters, 6)(image).shape == (2, 6)
    features = conv_decoder(3, shape, filters, 6)(np.ones((2, 3), "float32"))
    assert features.shape[:3] == (2, *shape[:2])


def test_networks_with_a_condition_use_it():
    encoder = mlp((4,), (5,), condition_shape=(2,))
    x = np.ones((1, 4), "float32")
    found = [
        encoder({"x": x, "condition": c})
        for c in (np.eye(2, dtype="float32")[:1], -np.ones((1, 2), "float32"))
    ]
    assert np.any(found[0] != found[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp((4,), ()), "units must be a tuple of integers from 1"),
        (lambda: mlp((4,), role="both"), 'role must be "encoder" or "decoder"'),
        (lambda: conv_encoder((4,)), "Use networks.mlp for vectors"),
        (
            lambda: conv_encoder((8, 8, 1), ()),
            "filters must be a tuple of integers from 1",
        ),
        (lambda: conv_decoder(2, (0, 8, 1)), "expects data_shape"),
    ],
)
def test_wrong_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
