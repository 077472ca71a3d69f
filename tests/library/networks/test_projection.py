"""A head keeps the places that the decoder's features have in common with the data."""

import numpy as np
import pytest

from kvae.networks import Projection, projection

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("data_shape", "per_entry", "places"),
    [
        ((7, 3), (), (7,)),  # steps of three features
        ((7,), (), (7,)),
        ((7, 3), (2,), (7,)),
        ((5, 6, 3), (), (5, 6)),
        ((5, 6), (2,), (5, 6)),
        ((2, 5, 6, 3), (), (2, 5, 6)),  # a volume
        ((5, 6, 3), (), (5,)),  # a row of pixels per step
    ],
)
def test_each_place_has_the_same_small_map(data_shape, per_entry, places):
    layer = Projection(data_shape, per_entry)
    features = RNG.normal(size=(4, *places, 8)).astype("float32")
    found = layer(features)
    kernel, bias = (np.asarray(w) for w in layer.weights)
    numbers = int(np.prod([*data_shape[len(places) :], *per_entry]))
    assert kernel.size == 8 * numbers
    kernel = kernel.reshape(8, numbers)
    expected = np.einsum("...f,fn->...n", features, kernel) + bias
    expected = expected.reshape(4, *data_shape, *per_entry)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("data_shape", "features"),
    [((7, 3), (6, 8)), ((5, 6, 3), (6, 5, 8)), ((9,), (3, 3))],
)
def test_other_features_are_mapped_as_a_whole(data_shape, features):
    layer = Projection(data_shape)
    x = RNG.normal(size=(4, *features)).astype("float32")
    found = layer(x)
    kernel, bias = (np.asarray(w) for w in layer.weights)
    expected = x.reshape(4, -1) @ kernel + bias
    np.testing.assert_allclose(
        found, expected.reshape(4, *data_shape), rtol=1e-5, atol=1e-5
    )


def test_a_series_does_not_cost_its_length_squared():
    """200 steps of 64 features for 200 steps of 100: the flat map had 252 million."""
    layer = Projection((200, 100))
    layer.build((None, 200, 64))
    assert layer.count_params() == 64 * 100 + 100


def test_a_huge_head_is_said_to_be_one(monkeypatch):
    monkeypatch.setattr(projection, "_MANY", 1000)
    with pytest.warns(
        UserWarning, match="the head 'loc' alone has 0 million weights.*20 "
    ):
        Projection((50,), name="loc").build((None, 20))
    Projection((50,)).build((None, 50, 900))  # 901 weights: no warning
