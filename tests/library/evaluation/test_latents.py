"""Active units and the verdict on models whose use of z is known."""

import keras
import numpy as np
import pytest
from support.linear_gaussian import LinearGaussian
from support.tiny_models import labels, pixels, tiny_vae

from kvae import VAE, likelihoods, objectives, posteriors, priors
from kvae.evaluation import latent_usage
from kvae.evaluation.linear_rate import linear_rate


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


def encoding(model, share, scale):
    """A model whose posterior means are a share of the right ones."""
    vae = model.vae(scale=np.full(model.weights.shape[1], scale))
    kernel, bias = vae.posterior._loc.get_weights()
    vae.posterior._loc.set_weights([share * kernel, share * bias])
    return vae


PLANES = LinearGaussian.random(data=12, dim=4, noise=0.1)


def test_a_collapsed_model_is_told_what_to_try():
    usage = latent_usage(encoding(PLANES, 0.0, 1.0), PLANES.sample(100))
    assert usage.collapsed
    assert usage.active_units == 0
    assert "free bits" in usage.verdict
    assert "ignores z" in usage.verdict


def test_a_model_that_carries_a_little_of_what_there_is_shows_no_good_sign():
    """All latents active, 2 nats of 13: once "no sign of collapse"."""
    usage = latent_usage(encoding(PLANES, 0.7, 0.7), PLANES.sample(400))
    assert usage.active_units == 4
    assert 1 < usage.rate < 0.25 * usage.linear_rate
    assert usage.verdict.startswith("little is encoded: 4 of 4 dimensions are active")
    assert not usage.collapsed


def test_noise_leaves_nothing_to_encode_and_no_verdict_against_the_model():
    noise = LinearGaussian(np.full((6, 2), 1e-3), np.zeros(6), 1.0)
    usage = latent_usage(noise.vae(), noise.sample(200))
    assert not usage.collapsed
    assert "hardly anything to encode" in usage.verdict


@pytest.mark.parametrize("dim", [2, 4, 9])
def test_the_yardstick_is_the_rate_of_the_best_linear_model(dim):
    """Its rate is the information between x and the first components, in closed form."""
    best = np.sort(np.linalg.eigvalsh(PLANES.covariance))[::-1]
    noise = best[dim:].mean()
    expected = 0.5 * np.log(best[:dim] / noise).sum()
    found = linear_rate(PLANES.sample(4000), dim)
    # Halves of 1000: each variance is known to 1 / sqrt(500).
    assert found == pytest.approx(expected, abs=4 * 0.5 * np.sqrt(dim / 500))


def test_the_yardstick_finds_little_in_noise():
    x = np.random.default_rng(0).normal(size=(400, 64))
    assert linear_rate(x, 16) < 1.0
    assert linear_rate(np.ones((10, 3)), 2) == 0.0


def test_too_few_examples_are_refused_with_how_many_are_needed(vae, correlated):
    for few in (1, 19):
        with pytest.raises(ValueError, match=f"at least 20; received {few}"):
            latent_usage(vae, correlated.sample(few))
    assert latent_usage(vae, correlated.sample(20)).num_examples == 20


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
