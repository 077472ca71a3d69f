"""Standardize measures what numpy measures, and its weights travel with it."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.core.spread import Spread
from kvae.networks import Standardize

RNG = np.random.default_rng(0)


def test_entries_of_one_unit_share_location_and_scale():
    x = RNG.random((50, 6, 5, 3)) * 40 - 7
    layer = Standardize()
    layer.adapt(x)
    np.testing.assert_allclose(layer(x), (x - x.mean()) / x.std(), rtol=1e-4, atol=1e-5)


def test_columns_of_different_units_have_their_own():
    x = RNG.normal(size=(200, 4)) * [1, 1e3, 1e-6, 0] + [0, 5, 2e-6, 9]
    layer = Standardize()
    layer.adapt(x)
    found = layer(x).numpy()
    np.testing.assert_allclose(found.mean(0), np.zeros(4), atol=1e-4)
    np.testing.assert_allclose(found.std(0), [1, 1, 1, 0], rtol=1e-3)


def test_steps_of_a_series_have_one_scale_for_each_feature():
    x = RNG.normal(size=(30, 20, 2)) * [1, 500]
    spread = Spread.of(x)
    assert not spread.shared
    np.testing.assert_allclose(spread.scale, x.std(axis=(0, 1)))


def test_columns_far_apart_do_not_share_a_location():
    spread = Spread.of(RNG.normal(size=(300, 3)) + [0, 1000, -50])
    np.testing.assert_allclose(spread.scale, np.ones(3), rtol=0.2)


def test_rare_pixels_do_not_make_a_table_of_an_image():
    x = RNG.random((400, 30))
    x[:, :2] *= RNG.random((400, 2)) < 0.01
    x[:, 2] = 0.0
    x[:, 3] *= 0.01
    assert Spread.of(x).shared


def test_missing_entries_are_left_out():
    x = RNG.normal(size=(100, 3))
    broken = np.where(RNG.random(x.shape) < 0.3, np.nan, x)
    spread = Spread.of(broken)
    assert float(spread.scale) == pytest.approx(np.nanstd(broken), rel=1e-6)


def test_large_data_are_measured_on_examples_at_even_distances():
    x = np.arange(40_000.0)[:, None] % 977 + np.zeros((1, 700))
    spread = Spread.of(x)
    assert float(spread.loc) == pytest.approx(x[:, 0].mean(), rel=0.01)
    assert float(spread.scale) == pytest.approx(x[:, 0].std(), rel=0.01)


@pytest.mark.parametrize("log1p", [True, [False, True, False]])
def test_logarithms_of_counts(log1p):
    x = RNG.poisson(5, (50, 3)) * np.array([1, 1, 1])
    x[:, 1] *= 100_000
    layer = Standardize(log1p)
    layer.adapt(x)
    u = np.where(log1p, np.log1p(x), x)
    spread = Spread.of(u)
    np.testing.assert_allclose(
        layer(x), (u - spread.loc) / spread.scale, rtol=1e-4, atol=1e-4
    )
    again = Standardize.from_config(json.loads(json.dumps(layer.get_config())))
    again.build((None, 3))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), layer(x))


def test_half_precision_sees_the_standardized_numbers():
    x = 1e5 + RNG.normal(size=(500, 2))
    layer = Standardize(dtype="mixed_bfloat16")
    layer.adapt(x)
    found = layer(tf.constant(x, "float32"))
    assert found.dtype == tf.bfloat16
    expected = (x - x.mean()) / x.std()
    np.testing.assert_allclose(tf.cast(found, "float32"), expected, atol=0.03)


def test_it_is_a_layer_of_any_network():
    inputs = keras.Input((3,))
    network = keras.Model(inputs, Standardize()(inputs))
    assert not network.trainable_weights
    assert network.output_shape == (None, 3)
