"""Laws that the tests of posteriors, priors and flows share."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def normals(*shape, seed=0, dtype="float64"):
    """Independent N(0, 1)."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def randomize(layer, scale=0.4, seed=0):
    """Gives every weight of a layer a random value, so that no law holds by accident."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(scale * rng.normal(size=variable.shape))
    return layer


def assert_mean(samples, expected, sigmas=5.0, smallest_bug=None):
    """|mean - expected| < sigmas standard errors; 5 is one false alarm in 1.7 million.

    `smallest_bug` is a difference that this test must be able to see.
    """
    samples = np.asarray(samples, "float64")
    allowed = sigmas * samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    if smallest_bug is not None:
        assert np.all(allowed < smallest_bug), (allowed, smallest_bug)
    np.testing.assert_array_less(
        np.abs(samples.mean(axis=0) - expected), allowed + 1e-12
    )


def autodiff_log_det(function, u):
    """log |det| of the Jacobian of a map from (B, D) to (B, D), by autodiff: (B,)."""
    u = tf.convert_to_tensor(u)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = function(u)
    return np.linalg.slogdet(tape.batch_jacobian(z, u).numpy())[1]


def mass_on_plane(log_prob, reach=9.0, points=500):
    """Integrates a density of two dimensions over a square, by the midpoint rule."""
    width = 2 * reach / points
    axis = -reach + width * (np.arange(points) + 0.5)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 1, 2)
    return float(np.exp(log_prob(tf.constant(grid))).sum() * width**2)


def assert_compiles(function, *arguments, rtol=1e-5, atol=1e-5):
    """A function gives the same eagerly, as a graph and under XLA."""
    eager = tf.nest.flatten(function(*arguments))
    for jit in (False, True):
        compiled = tf.function(function, jit_compile=jit)(*arguments)
        for one, other in zip(eager, tf.nest.flatten(compiled), strict=True):
            np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def assert_gradient(function, x, step=1e-5, rtol=1e-5, atol=1e-7, directions=4):
    """The gradient of sum(function(x)) agrees with central differences, in float64.

    Along a few random directions: a wrong entry shows in all of them.
    """
    x = tf.constant(x, "float64")
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x))
    found = tape.gradient(total, x)
    assert found is not None, "the result does not depend on x"
    for direction in normals(directions, *x.shape):
        shift = step * direction
        slope = tf.reduce_sum(function(x + shift) - function(x - shift)) / (2 * step)
        np.testing.assert_allclose(
            tf.reduce_sum(found * direction), slope, rtol=rtol, atol=atol
        )
