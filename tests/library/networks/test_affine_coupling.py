"""AffineCoupling: what moves, what stays, and the determinant."""

import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import autodiff_log_det, normals, randomize

from kvae.networks import AffineCoupling


@pytest.fixture(params=[False, True])
def coupling(request):
    return randomize(AffineCoupling(5, request.param, (8,), dtype="float64"), 0.7)


def test_moves_every_second_entry_and_keeps_the_others(coupling):
    u = normals(6, 5)
    z = coupling(tf.constant(u))[0].numpy()
    moved = np.arange(5) % 2 == int(coupling.move_odd)
    np.testing.assert_array_equal(z[:, ~moved], u[:, ~moved])
    assert (np.abs(z - u)[:, moved] > 1e-6).all()


def test_inverse_and_log_determinants(coupling):
    u = normals(6, 5)
    z, log_det = coupling(tf.constant(u))
    back, inverse_log_det = coupling.inverse(z)
    np.testing.assert_allclose(back, u, atol=1e-12)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-12)
    expected = autodiff_log_det(lambda u: coupling(u)[0], u)
    np.testing.assert_allclose(log_det, expected, atol=1e-12)


def test_the_scale_is_bounded():
    coupling = randomize(AffineCoupling(2, True, (8,), max_log_scale=0.5), 30.0)
    log_det = coupling(tf.constant(normals(50, 2, dtype="float32")))[1]
    assert 0.45 < np.abs(log_det).max() <= 0.5


def test_config_round_trip():
    coupling = AffineCoupling(4, True, (3, 2), "tanh", 2.0, name="coupling")
    twin = AffineCoupling.from_config(coupling.get_config())
    assert twin.get_config() == coupling.get_config()
