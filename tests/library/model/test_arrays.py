"""Arrays give arrays; tensors give tensors, with gradients, inside graphs and out."""

import numpy as np
import pytest
import tensorflow as tf
from support import small

X = small.binary(12)


@pytest.fixture(scope="module")
def model():
    return small.vae()


@pytest.mark.parametrize("method", ["embed", "reconstruct", "elbo"])
def test_tensors_give_what_arrays_give(model, method):
    array = getattr(model, method)(X)
    tensor = getattr(model, method)(tf.constant(X))
    assert isinstance(array, np.ndarray)
    assert tf.is_tensor(tensor)
    np.testing.assert_allclose(tensor, array, rtol=1e-5, atol=1e-6)
    graph = tf.function(getattr(model, method), autograph=False)
    np.testing.assert_allclose(graph(tf.constant(X)), array, rtol=1e-5, atol=1e-6)


def test_the_encoder_learns_in_a_loop_of_one_s_own(model):
    """d/dw of mean log q(z|x), by autodiff and by a difference quotient."""
    z = np.full((12, 2), 0.3, "float32")
    weight = model.encoder.trainable_variables[0]

    def loss():
        return tf.reduce_mean(model.encode(tf.constant(X)).log_prob(z))

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, weight.value).numpy()
    direction = np.sign(gradient)
    before = weight.numpy()
    step = 1e-3
    weight.assign(before + step * direction)
    up = loss()
    weight.assign(before - step * direction)
    down = loss()
    weight.assign(before)
    slope = float(up - down) / (2 * step)
    assert slope > 0.1
    np.testing.assert_allclose(slope, (gradient * direction).sum(), rtol=0.02)


def test_gradients_reach_what_is_encoded_and_decoded(model):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = tf.reduce_sum(model.decode(model.encode(x).mean()).mean())
    assert float(tf.reduce_max(tf.abs(tape.gradient(out, x)))) > 0


def test_a_tensor_of_another_shape_is_refused_before_a_graph_is_built(model):
    with pytest.raises(ValueError, match=r"shape \(6,\); received a tensor"):
        model.elbo(tf.zeros((3, 5)))


def test_samples_of_an_untrained_model_are_warned_of(caplog):
    model = small.vae()
    model.sample(2, seed=0)
    assert "never trained" in caplog.text
    caplog.clear()
    model.fit(X, verbose=0)
    model.sample(2, seed=0)
    assert "never trained" not in caplog.text
