"""Many normals at many points against scipy, and what float64 is needed for."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from kvae.maths import normals_at_points
from kvae.maths.precision import without_float64


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def one_by_one(z, loc, scale):
    z = np.asarray(z, "float64")[..., None, :]
    return scipy.stats.norm.logpdf(z, loc, scale).sum(-1)


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 6), ("float64", 12)])
def test_it_is_scipys_density(rng, dtype, digits):
    z, loc = rng.normal(size=(2, 5, 3)), rng.normal(size=(4, 3))
    z, loc, scale = (v.astype(dtype) for v in (z, loc, rng.uniform(0.1, 2.0, (4, 3))))
    found = normals_at_points(z, *map(tf.constant, (loc, scale)))
    assert found.shape == (2, 5, 4)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, one_by_one(z, loc, scale), rtol=10**-digits)


def test_narrow_normals_far_from_zero_keep_their_digits(rng):
    """Where the same products in float32 would be wrong by whole nats."""
    loc = rng.uniform(3.0, 6.0, (20, 40)).astype("float32")
    scale = np.full((20, 40), 1e-3, "float32")
    z = loc + scale * rng.normal(size=(20, 40)).astype("float32")
    expected = one_by_one(z, loc, scale)
    near = np.diag(expected)  # of each normal at its own point
    found = normals_at_points(*map(tf.constant, (z, loc, scale)))
    assert found.dtype == tf.float32
    np.testing.assert_allclose(np.diag(found), near, rtol=1e-6)
    with without_float64():
        alone = normals_at_points(*map(tf.constant, (z, loc, scale)))
    np.testing.assert_allclose(np.diag(alone), near, rtol=1e-5)

    precision = 1.0 / scale**2
    squares = z**2 @ precision.T - 2 * z @ (loc * precision).T
    squares = squares + (loc**2 * precision).sum(-1)
    constant = one_by_one(np.zeros((1, 40)), 0.0, scale)[0]
    assert np.abs(np.diag(-0.5 * squares + constant) - near).max() > 1.0


def test_all_ways_have_the_gradients_of_the_density(rng):
    z, loc = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    scale, weight = rng.uniform(0.1, 2.0, (4, 3)), rng.normal(size=(6, 4))

    def gradients(dtype):
        values = [tf.constant(v, dtype) for v in (z, loc, scale)]
        with tf.GradientTape() as tape:
            tape.watch(values)
            density = normals_at_points(*values)
            total = tf.reduce_sum(tf.constant(weight, dtype) * density)
        return tape.gradient(total, values)

    apart = (z[:, None] - loc) / scale
    each = weight[:, :, None]
    expected = (
        (-each * apart / scale).sum(1),
        (each * apart / scale).sum(0),
        (each * (apart**2 - 1) / scale).sum(0),
    )
    product, exact = gradients("float32"), gradients("float64")
    with without_float64():
        phone = gradients("float32")
    for found, error in ((product, 1e-4), (exact, 1e-10), (phone, 1e-4)):
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=error, atol=error)


def test_on_phones_nothing_is_computed_in_float64():
    def dtypes():
        spec = tf.TensorSpec((None, 3), tf.float32)
        function = tf.function(normals_at_points, autograph=False)
        graph = function.get_concrete_function(spec, spec, spec).graph
        return {out.dtype for op in graph.get_operations() for out in op.outputs}

    assert tf.float64 in dtypes()
    with without_float64():
        assert tf.float64 not in dtypes()
    assert tf.float64 in dtypes()  # and afterwards all is as before
