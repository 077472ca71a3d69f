"""Active units and the verdict on models whose use of z is known."""

import keras
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.tiny_models import labels, pixels, tiny_vae

from kvae import VAE, likelihoods, objectives, posteriors, priors
from kvae.evaluation import latent_usage


def test_an_idle_dimension_is_counted_out():
    weights = np.array([[1.0, 0.0], [2.0, 0.0], [0.5, 0.0]])
    model = LinearGaussian(weights, np.zeros(3), 0.5)
    x = model.sample(500)
    usage = latent_usage(model.vae(), x)
    assert usage.active_units == 1
    assert usage.latent_dim == 2
    assert usage.dimensions_for_99_percent_of_rate == 1
    mean = x @ model.gain.T
    np.testing.assert_allclose(usage.mean_variance, mean.var(0), rtol=1e-4, atol=1e-9)
    scale = model.best_scale()
    rate = 0.5 * (np.square(mean).mean(0) + scale**2 - 1 - 2 * np.log(scale))
    np.testing.assert_allclose(usage.rate_per_dimension, rate, rtol=1e-4, atol=1e-5)
    assert usage.rate == pytest.approx(rate.sum(), rel=1e-4)
    assert not usage.collapsed


def test_a_collapsed_model_is_told_what_to_try():
    model = LinearGaussian(np.full((3, 2), 1e-3), np.zeros(3), 1.0)
    usage = latent_usage(model.vae(), model.sample(100))
    assert usage.collapsed
    assert usage.active_units == 0
    assert "free bits" in usage.verdict
    assert "ignores z" in usage.verdict


def test_a_model_that_uses_everything_is_told_to_widen(vae, correlated):
    usage = latent_usage(vae, correlated.sample(200))
    assert usage.active_units == 2
    assert "Try a larger latent_dim" in usage.verdict


@pytest.mark.slow
def test_wide_spheres_are_not_called_collapsed():
    dim = 128
    vae = VAE(
        keras.Sequential([keras.Input((dim,)), keras.layers.Identity()]),
        keras.Sequential([keras.Input((dim,)), keras.layers.Identity()]),
        posteriors.PowerSpherical(dim),
        likelihoods.Normal((dim,)),
        prior=priors.UniformSphere(dim),
    )
    vae.build((None, dim))
    kernel, bias, _, raw_concentration = vae.posterior.weights
    kernel.assign(np.eye(dim))
    bias.assign(np.zeros(dim))
    raw_concentration.assign([500.0])
    x = np.random.default_rng(0).normal(size=(300, dim)).astype("float32")
    usage = latent_usage(vae, x / np.linalg.norm(x, axis=1, keepdims=True))
    assert usage.mean_variance.max() < 0.01  # at most 1/D on average
    assert usage.active_units == dim
    assert not usage.collapsed


def test_a_condition_leaves_the_rate_its_closed_form():
    model = tiny_vae(objective=objectives.ELBO(), condition=True)
    data = {"x": pixels(20), "condition": labels(20)}
    usage = latent_usage(model, data)
    q = model.encode(data).distribution
    mean, scale = q.mean().numpy(), q.stddev().numpy()
    rate = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).mean(axis=0)
    np.testing.assert_allclose(usage.rate_per_dimension, rate, rtol=1e-4)


def test_wrong_threshold_is_refused(vae, x):
    with pytest.raises(ValueError, match="threshold must be .* at least 0"):
        latent_usage(vae, x, threshold=-1)
