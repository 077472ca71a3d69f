"""The mixture fitted after training, and the model that takes it as its prior."""

import sys

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from support.tiny_models import DIM, pixels, tiny_vae

import kvae
from kvae.posteriors import FullNormal, PowerSpherical
from kvae.priors import UniformSphere, fit_mixture


def split_vae(posterior=None):
    """A model whose latents fall into two clusters, by the data's first pixel."""
    vae = tiny_vae(posterior)
    for variable in vae.encoder.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    kernel = np.zeros((4, 8), "float32")
    kernel[0] = 3.0
    vae.encoder.trainable_variables[0].assign(kernel)
    vae.posterior._loc.kernel.assign(np.full((8, DIM), 0.5, "float32"))
    vae.posterior._raw_scale.bias.assign(np.full(DIM, -2.0, "float32"))
    vae.posterior._raw_scale.kernel.assign(np.zeros((8, DIM), "float32"))
    return vae


@pytest.mark.parametrize("kind", [None, FullNormal])
def test_finds_the_clusters_of_the_latents(kind):
    vae, x = split_vae(kind and kind(DIM)), pixels(600)
    prior = fit_mixture(vae, x, num_components=2, seed=1)
    params = prior()
    share = (x[:, 0] == 0).mean()
    order = np.argsort(params["loc"][:, 0])
    weights = tf.nn.softmax(params["logits"]).numpy()[order]
    np.testing.assert_allclose(weights, [share, 1 - share], atol=0.01)
    center = 8 * 0.5 * np.tanh(3.0)
    expected = [[0.0] * DIM, [center] * DIM]
    np.testing.assert_allclose(params["loc"].numpy()[order], expected, atol=0.05)
    scale = 1e-4 + np.log1p(np.exp(-2.0))
    np.testing.assert_allclose(params["scale"], np.full((2, DIM), scale), rtol=0.15)


def test_describes_the_latents_better_than_the_prior_and_is_repeatable():
    vae, x = split_vae(), pixels(300)
    prior = fit_mixture(vae, x, num_components=3, seed=1)
    z = vae.encode(pixels(300, seed=9)).sample(seed=[5, 6])
    fitted = prior.log_prob(prior(), z[None]).numpy().mean()
    assert fitted > scipy.stats.norm.logpdf(z).sum(-1).mean() + 2.0
    again = fit_mixture(vae, x, num_components=3, seed=1)
    np.testing.assert_array_equal(again()["loc"], prior()["loc"])


def test_of_very_many_examples_evenly_spaced_ones_count(monkeypatch):
    vae, x = split_vae(), pixels(300)
    few = fit_mixture(vae, x[::3], num_components=2)
    monkeypatch.setattr(sys.modules["kvae.priors.fit_mixture"], "_EXAMPLES", 100)
    many = fit_mixture(vae, x, num_components=2)
    np.testing.assert_array_equal(many()["loc"], few()["loc"])


def test_with_prior_copies_the_model_and_draws_from_the_new_prior():
    vae, x = split_vae(), pixels(300)
    before = vae.sample(5, seed=0)
    prior = fit_mixture(vae, x, num_components=2)
    copy = vae.with_prior(prior)
    assert copy.prior is prior
    np.testing.assert_array_equal(copy.reconstruct(x), vae.reconstruct(x))
    assert (copy.sample(5, seed=0) != before).any()
    # A better prior for the same latents: a higher bound on log p(x), on other data.
    test = pixels(300, seed=9)
    assert copy.elbo(test, 5).mean() > vae.elbo(test, 5).mean() + 2.0
    copy.compile("adam")
    copy.train_step(tf.constant(x))
    np.testing.assert_array_equal(vae.sample(5, seed=0), before)


def test_with_prior_refuses_a_prior_without_the_asked_for_kl():
    vae = tiny_vae(objective=kvae.objectives.ELBO(kl="exact"))
    prior = fit_mixture(vae, pixels(), num_components=2)
    with pytest.raises(ValueError, match=r'Use ELBO\(kl="sampled"\)'):
        vae.with_prior(prior)
    sampled = kvae.objectives.ELBO(kl="sampled")
    assert vae.with_prior(prior, sampled).objective is sampled


def test_without_scikit_learn_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(ImportError, match=r'pip install "keras-vae\[train\]"'):
        fit_mixture(None, None)


def test_latents_on_a_sphere_and_too_few_examples_are_refused():
    sphere = tiny_vae(PowerSpherical(DIM), UniformSphere(DIM))
    with pytest.raises(ValueError, match="are on the unit sphere"):
        fit_mixture(sphere, pixels())
    with pytest.raises(ValueError, match="received 4 examples and num_components=5"):
        fit_mixture(tiny_vae(), pixels(4), num_components=5)


def test_a_model_given_labels_gets_a_mixture_for_each(monkeypatch):
    from sklearn.mixture import GaussianMixture

    x, labels = pixels(300), np.resize([3, 7, 5], 300)
    given = {"x": x, "condition": labels}
    vae = kvae.VAE.for_data(x, latent_dim=2, condition=labels, seed=0)
    prior = fit_mixture(vae, given, num_components=2, seed=1)
    z = vae.encode(given).sample(seed=tf.constant([1, 0x317], tf.int32)).numpy()
    for label in (3, 5, 7):
        own = z[labels == label].astype("float64")
        expected = GaussianMixture(2, covariance_type="diag", random_state=1).fit(own)
        params = prior(tf.constant([label]))
        np.testing.assert_allclose(
            tf.nn.softmax(params["logits"])[0], expected.weights_, rtol=1e-4
        )
        np.testing.assert_allclose(params["loc"][0], expected.means_, atol=1e-5)
        np.testing.assert_allclose(
            params["scale"][0] ** 2, expected.covariances_, rtol=1e-3
        )
    copy = vae.with_prior(prior, kvae.objectives.ELBO(kl="sampled"))
    assert copy.sample(4, seed=0, condition=7).shape == (4, 4)
    test = {"x": pixels(300, seed=9), "condition": labels}
    assert copy.elbo(test, 5).mean() > vae.elbo(test, 5).mean()
    with pytest.raises(ValueError, match="example of label 3 per component"):
        fit_mixture(vae, given, num_components=101)
    monkeypatch.setattr(sys.modules["kvae.priors.fit_mixture"], "_EXAMPLES", 25)
    rows = np.sort(np.concatenate([np.arange(i, 300, 12) for i in range(3)]))
    few = fit_mixture(vae, {k: v[rows] for k, v in given.items()}, 2)
    many = fit_mixture(vae, given, 2)
    for label in (3, 5, 7):
        params = (prior(tf.constant([label])) for prior in (many, few))
        np.testing.assert_array_equal(*(p["loc"] for p in params))


def test_mixtures_and_labels_must_be_as_many():
    numbers = np.full((2, 1), 1.0), np.zeros((2, 1, 3)), np.ones((2, 1, 3))
    kind = kvae.priors.ConditionalGaussianMixture
    assert kind.from_parameters([4, 9], *numbers)(tf.constant([9]))["loc"].shape == (
        1,
        1,
        3,
    )
    with pytest.raises(ValueError, match="received 3 labels, 2 mixtures"):
        kind.from_parameters([1, 2, 3], *numbers)
