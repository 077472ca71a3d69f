"""MADE: who sees whom."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.density_laws import normals, randomize

from kvae.networks import MADE


def jacobians(network, x, context=None):
    """How each output depends on each entry: one (B, D, D) array per output."""
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = network(x) if context is None else network(x, context)
    return [tape.batch_jacobian(output, x).numpy() for output in outputs]


@pytest.mark.parametrize("units", [(3,), (16, 16), (7, 9, 11)])
@pytest.mark.parametrize("context_dim", [0, 2])
def test_an_output_sees_exactly_the_entries_before_it(units, context_dim):
    network = randomize(MADE(4, units, 3, context_dim, dtype="float64"), 1.0)
    context = tf.constant(normals(5, 2)) if context_dim else None
    for jacobian in jacobians(network, normals(5, 4), context):
        assert (np.triu(jacobian) == 0).all()
        if min(units) >= 4:
            below = np.tril_indices(4, -1)
            assert (np.abs(jacobian[:, below[0], below[1]]).max(0) > 0).all()


def test_every_output_sees_the_context():
    network = randomize(MADE(4, (16, 16), 2, 3, dtype="float64"), 1.0)
    context = tf.constant(normals(5, 3))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(context)
        outputs = network(tf.constant(normals(5, 4)), context)
    for output in outputs:
        assert (np.abs(tape.batch_jacobian(output, context)).max(0) > 0).all()


def test_leading_axes_are_free():
    network = randomize(MADE(3, (8,), context_dim=2))
    x = tf.constant(normals(6, 2, 3, dtype="float32"))
    context = tf.constant(normals(2, 2, dtype="float32"))
    both, one = network(x, context)[0], network(x[4], context)[0]
    np.testing.assert_allclose(both[4], one, rtol=1e-5, atol=1e-6)


def test_one_entry_depends_on_nothing_but_the_context():
    network = randomize(MADE(1, (8,), context_dim=2, dtype="float64"))
    context = tf.constant(normals(2, 2))
    for jacobian in jacobians(network, normals(2, 1), context):
        assert (jacobian == 0).all()
    assert np.diff(network(tf.zeros((2, 1), "float64"), context)[0], axis=0) != 0


def test_config_round_trip():
    network = MADE(3, (8, 5), 2, 4, activation="tanh", name="made")
    twin = MADE.from_config(network.get_config())
    assert twin.get_config() == network.get_config()
    twin.set_weights(network.get_weights())
    x, context = tf.constant(normals(2, 3, dtype="float32")), tf.ones((2, 4))
    np.testing.assert_array_equal(twin(x, context), network(x, context))
    assert keras.saving.get_registered_name(MADE) == "kvae>MADE"


def test_a_network_without_hidden_layers_is_refused():
    with pytest.raises(ValueError, match=r"units must be a tuple .* received \(\)"):
        MADE(3, ())
