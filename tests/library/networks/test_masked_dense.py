"""MaskedDense against a dense layer with zeros in its kernel."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import normals, randomize

from kvae.networks import MaskedDense


@pytest.mark.parametrize("strict", [False, True])
def test_equals_a_dense_layer_with_the_cut_connections_at_zero(strict):
    layer = randomize(MaskedDense((1, 2, 3), (0, 2, 2, 3), strict, dtype="float64"))
    kernel, bias = layer.get_weights()
    for i, source in enumerate((1, 2, 3)):
        for o, target in enumerate((0, 2, 2, 3)):
            if not (source < target or (source == target and not strict)):
                kernel[i, o] = 0.0
    x = normals(2, 5, 3)
    np.testing.assert_allclose(layer(tf.constant(x)), x @ kernel + bias)


def test_config_round_trip():
    layer = MaskedDense((1, 2), (0, 1), True, 0.5, name="masked")
    twin = MaskedDense.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
