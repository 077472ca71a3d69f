"""Every part can be trained, in any batch size, compiled in any way."""

import numpy as np
import pytest
import small
import tensorflow as tf
from conformance.models import EVERY, compose, randomise

from kvae.noise import Noise
from kvae.objectives import batch_mean


def loss(case, training=True):
    """The loss of the batch with fixed noise, and its parts."""
    noise = Noise(tf.constant([1, 2]), tf.constant(0))
    inputs = case.model._unpack(({k: tf.constant(v) for k, v in case.data.items()},))[0]
    parts = case.model._loss_parts(inputs, noise, None, training)
    return batch_mean(parts.data_term + parts.kl_term), parts


@EVERY
def test_the_gradient_reaches_every_trainable_variable(kind, specimen):
    case = compose(**{kind: specimen})
    randomise(case.model)
    variables = case.model.trainable_variables
    with tf.GradientTape() as tape:
        total, _ = loss(case)
    gradients = tape.gradient(total, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path
        assert np.any(tf.convert_to_tensor(gradient) != 0), variable.path


@EVERY
def test_rate_and_distortion_are_finite_and_add_up(kind, specimen):
    case = compose(**{kind: specimen})
    randomise(case.model)
    _, parts = loss(case, training=False)
    assert parts.rate.shape == parts.distortion.shape == (7,)
    assert np.isfinite(parts.elbo).all()
    np.testing.assert_array_equal(parts.elbo, -(parts.rate + parts.distortion))
    assert parts.posterior_mean.shape == (7, case.model.latent_dim)


@EVERY
def test_the_elbo_does_not_depend_on_the_batch_size(kind, specimen):
    case = compose(**{kind: specimen})
    randomise(case.model)
    whole = case.model.elbo(case.data, batch_size=7)
    assert whole.shape == (7,)
    cut = case.model.elbo(case.data, batch_size=2)
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-5)


@EVERY
@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
def test_compiled_equals_eager(kind, specimen, jit_compile):
    case = compose(**{kind: specimen})
    randomise(case.model)

    def terms():
        total, parts = loss(case, training=False)
        return total, parts.rate, parts.distortion

    compiled = tf.function(terms, jit_compile=jit_compile)()
    for one, other in zip(terms(), compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@EVERY
def test_float32_agrees_with_float64(kind, specimen):
    single = compose(**{kind: specimen})
    randomise(single.model)
    with small.policy("float64"):
        double = compose(**{kind: specimen})
        double.model.set_weights(single.model.get_weights())
        exact = double.model.elbo(double.data)
    assert exact.dtype == np.float64
    np.testing.assert_allclose(
        single.model.elbo(single.data), exact, rtol=2e-4, atol=2e-4
    )
