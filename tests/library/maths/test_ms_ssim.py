"""Multi-scale structural similarity against other forms of it."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import correlate1d

from kvae.maths import ms_ssim

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def pictures(side, num=3, channels=2, seed=0):
    """Smooth pictures in [0, 1] and noisy copies."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = rng.normal(size=(num, 1, 1, channels, 3))
    a = np.sin(7 * waves[..., 0] * x[..., None] + 5 * waves[..., 1] * y[..., None])
    a = 0.5 + 0.4 * a
    b = np.clip(a + 0.1 * rng.normal(size=a.shape), 0, 1)
    return a, b


def by_scipy(a, b, scales, max_value=1.0):
    """The paper's form for pictures (H, W), with filters and means of scipy and numpy."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()

    def local(x):
        x = correlate1d(correlate1d(x, window, axis=0), window, axis=1)
        return x[5:-5, 5:-5]

    value, weights = 1.0, WEIGHTS[:scales] / WEIGHTS[:scales].sum()
    for scale, weight in enumerate(weights):
        mean_a, mean_b = local(a), local(b)
        var_a, var_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
        cov = local(a * b) - mean_a * mean_b
        c1, c2 = (0.01 * max_value) ** 2, (0.03 * max_value) ** 2
        term = (2 * cov + c2) / (var_a + var_b + c2)
        if scale == scales - 1:
            term = term * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        value *= max(term.mean(), 1e-6) ** weight
        a, b = (np.pad(x, [(0, n % 2) for n in x.shape], "edge") for x in (a, b))
        a, b = (
            x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean((1, 3))
            for x in (a, b)
        )
    return value


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (21, 2), (28, 2), (45, 3), (64, 3)]
)
def test_equals_the_form_in_scipy(side, scales):
    a, b = pictures(side)
    expected = [
        np.mean([by_scipy(p[..., c], q[..., c], scales) for c in range(2)])
        for p, q in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(
        ms_ssim(tf.constant(a), tf.constant(b)), expected, rtol=1e-9
    )


@pytest.mark.parametrize("side", [161, 176])
def test_equals_tensorflow_at_five_scales(side):
    a, b = (tf.constant(255 * x, tf.float32) for x in pictures(side))
    expected = tf.image.ssim_multiscale(a, b, 255.0)
    np.testing.assert_allclose(ms_ssim(a, b, 255.0), expected, rtol=2e-4)


def test_identities():
    a, b = (tf.constant(x) for x in pictures(64))
    np.testing.assert_allclose(ms_ssim(a, a), 1.0, rtol=1e-12)
    np.testing.assert_allclose(ms_ssim(a, b), ms_ssim(b, a), rtol=1e-12)
    np.testing.assert_allclose(ms_ssim(7 * a, 7 * b, 7.0), ms_ssim(a, b), rtol=1e-9)
    assert np.all(ms_ssim(a, b) < 1)


def test_gradient_is_finite_where_a_covariance_is_negative():
    """There `tf.image.ssim_multiscale` has a gradient of NaN."""
    a, _ = pictures(64)
    b = tf.constant(1 - a)
    with tf.GradientTape() as tape:
        tape.watch(b)
        value = ms_ssim(tf.constant(a), b)
    assert np.all(value < 0.01)
    assert np.isfinite(tape.gradient(value, b)).all()


def test_gradient_is_the_derivative():
    a, b = (tf.constant(x) for x in pictures(32))
    step = 1e-6 * tf.constant(np.random.default_rng(1).normal(size=b.shape))
    with tf.GradientTape() as tape:
        tape.watch(b)
        value = ms_ssim(a, b)
    slope = tf.reduce_sum(tape.gradient(value, b) * step, axis=(1, 2, 3))
    found = (ms_ssim(a, b + step) - ms_ssim(a, b - step)) / 2
    np.testing.assert_allclose(found, slope, rtol=1e-4)


def test_small_pictures_are_refused():
    x = tf.zeros((1, 10, 64, 1))
    with pytest.raises(ValueError, match="at least 11x11 pixels; received 10x64"):
        ms_ssim(x, x)
