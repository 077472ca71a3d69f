"""ConditionalGaussianMixture against scipy and the mixture without a condition."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from support.density_laws import assert_compiles, normals, randomize
from support.tiny_models import DIM, labels, pixels, tiny_vae

import kvae
from kvae.networks import OneHot
from kvae.posteriors import DiagonalNormal
from kvae.priors import ConditionalGaussianMixture, GaussianMixture

M = 4


@pytest.fixture
def prior():
    prior = ConditionalGaussianMixture(DIM, M, dtype="float64")
    prior.build((None, 2))
    return randomize(prior)


def params_of(prior):
    params = prior(tf.constant(labels(2), "float64"))
    return {name: value.numpy() for name, value in params.items()}


def test_log_prob_equals_scipy_for_each_condition(prior):
    params = params_of(prior)
    assert np.abs(params["logits"][0] - params["logits"][1]).max() > 0.1
    z = normals(6, 2, DIM)
    parts = scipy.stats.norm(params["loc"], params["scale"]).logpdf(z[:, :, None])
    weights = scipy.special.log_softmax(params["logits"], axis=-1)
    expected = scipy.special.logsumexp(weights + parts.sum(-1), axis=-1)
    np.testing.assert_allclose(prior.log_prob(params, tf.constant(z)), expected)


def test_draws_have_the_law_of_each_condition(prior):
    params = params_of(prior)
    draws = prior.sample(params, tf.constant(normals(20000, 2, DIM + 1))).numpy()
    weights = scipy.special.softmax(params["logits"], axis=-1)
    for b in range(2):
        for d in range(DIM):
            law = scipy.stats.norm(params["loc"][b, :, d], params["scale"][b, :, d])

            def cdf(value, law=law, b=b):
                return law.cdf(np.asarray(value)[..., None]) @ weights[b]

            assert scipy.stats.kstest(draws[:, b, d], cdf).pvalue > 1e-4
    cold = prior.sample(params, tf.constant(normals(2, DIM + 1)), 0.0).numpy()
    for b in range(2):
        assert np.abs(cold[b] - params["loc"][b]).sum(-1).min() < 1e-12


def test_under_one_condition_it_is_the_gaussian_mixture(prior):
    params = params_of(prior)
    weights = scipy.special.softmax(params["logits"][0])
    plain = GaussianMixture.from_parameters(
        weights, params["loc"][0], params["scale"][0], dtype="float64"
    )
    first = {name: value[:1] for name, value in params.items()}
    z = tf.constant(normals(5, 1, DIM))
    np.testing.assert_allclose(
        prior.log_prob(first, z), plain.log_prob(plain(None), z), rtol=1e-6
    )
    noise = tf.constant(normals(50, 1, DIM + 1))
    np.testing.assert_allclose(
        prior.sample(first, noise), plain.sample(plain(None), noise), rtol=1e-5
    )


def test_starts_alike_for_all_conditions_and_spread():
    prior = ConditionalGaussianMixture(DIM, 200, OneHot((0, 1, 2)), spread=2.0)
    params = prior(tf.constant([0, 2]))
    np.testing.assert_allclose(params["loc"][0], params["loc"][1], atol=0.2)
    np.testing.assert_allclose(np.std(params["loc"]), 2.0, rtol=0.1)
    np.testing.assert_allclose(params["scale"], 1.0, atol=0.2)


def test_trains_and_samples_by_condition():
    vae = tiny_vae(
        DiagonalNormal(DIM),
        ConditionalGaussianMixture(DIM, M),
        kvae.objectives.ELBO(kl="sampled"),
        condition=True,
    )
    before = vae.prior.get_weights()
    vae.compile(keras.optimizers.Adam(0.01))
    vae.train_step({"x": tf.constant(pixels()), "condition": tf.constant(labels())})
    for old, new in zip(before, vae.prior.get_weights(), strict=True):
        assert (old != new).any()
    assert vae.sample(3, seed=0, condition=labels(3)).shape == (3, 4)


@pytest.mark.slow
def test_eager_graph_and_xla_agree(prior):
    assert_compiles(prior.call, tf.constant(labels(4), "float64"))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="num_components must be an integer from 1"):
        ConditionalGaussianMixture(DIM, 0)
    with pytest.raises(ValueError, match="expects min_scale > 0; received 0"):
        ConditionalGaussianMixture(DIM, min_scale=0)
    with pytest.raises(ValueError, match="needs a condition; received None"):
        ConditionalGaussianMixture(DIM)(None)
    with pytest.raises(ValueError, match="received labels, which are names"):
        ConditionalGaussianMixture(DIM)(tf.constant([1, 2]))
