"""Every part can be trained, in any batch size, compiled in any way."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from conformance.models import (
    EVERY,
    IN_FEW_MODELS,
    TOGETHER,
    compose,
    each_class,
    in_one,
    loss,
    name_of,
    randomized,
)
from support import small

from kvae.core.inputs import Inputs
from kvae.model import endpoints
from kvae.noise import Noise

NOISE = Noise(tf.constant([1, 2]), tf.constant(0))


@EVERY
def test_the_gradient_reaches_every_trainable_variable(kind, specimen):
    case = randomized(kind, specimen)
    variables = case.model.trainable_variables
    with tf.GradientTape() as tape:
        total, _ = loss(case, NOISE)
    gradients = tape.gradient(total, variables)
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path
        unused = specimen.deterministic and "scale" in variable.path
        assert unused or np.any(tf.convert_to_tensor(gradient) != 0), variable.path


@IN_FEW_MODELS
def test_rate_and_distortion_are_finite_and_add_up(parts):
    case = in_one(parts)
    _, found = loss(case, NOISE, training=False)
    assert found.rate.shape == found.distortion.shape == (7,)
    assert np.isfinite(found.distortion).all()
    none = any(specimen.deterministic for specimen in parts.values())
    assert np.all(np.isnan(found.rate) if none else found.rate > -50)
    np.testing.assert_array_equal(found.elbo, -(found.rate + found.distortion))
    assert found.posterior_mean.shape == (7, case.model.latent_dim)


@IN_FEW_MODELS
def test_an_example_s_elbo_does_not_depend_on_the_batch_it_comes_in(parts):
    case = in_one(parts)

    def elbo(start, stop):
        rows = {k: tf.constant(v[start:stop]) for k, v in case.data.items()}
        batch = Inputs(**rows)
        return endpoints.score(case.model, batch, [3, 0], 2, start)["elbo"].numpy()

    whole = elbo(0, 7)
    assert whole.shape == (7,)
    cut = np.concatenate([elbo(0, 1), elbo(1, 5), elbo(5, 7)])
    np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-5)


def assert_close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def terms(case):
    total, parts = loss(case, NOISE, training=False)
    return total, parts.rate, parts.distortion


@functools.cache
def traced(name):
    """The terms of a model of `together`, as a graph."""
    (parts,) = (p for p in TOGETHER if name_of(p) == name)
    return tf.function(
        lambda: terms(in_one(parts)), autograph=False
    ).get_concrete_function()


@IN_FEW_MODELS
def test_a_graph_equals_eager(parts):
    assert_close(traced(name_of(parts))(), terms(in_one(parts)), 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("parts", each_class(), ids=name_of)
def test_xla_equals_eager(parts):
    compiled = tf.function(traced(name_of(parts)), jit_compile=True, autograph=False)
    assert_close(compiled(), terms(in_one(parts)), 2e-5)


@pytest.mark.slow
@IN_FEW_MODELS
def test_float32_agrees_with_float64(parts):
    single = in_one(parts)
    with small.policy("float64"):
        double = compose(**parts)
        double.model.set_weights(single.model.get_weights())
        _, exact = loss(double, NOISE, training=False)
    assert exact.elbo.dtype == tf.float64
    _, found = loss(single, NOISE, training=False)
    np.testing.assert_allclose(found.elbo, exact.elbo, rtol=2e-4, atol=2e-4)
