"""ConditionalNormal against scipy and closed forms."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp
from support.density_laws import assert_compiles, assert_mean, normals, randomize
from support.tiny_models import DIM, labels, pixels, tiny_vae

import kvae
from kvae.posteriors import DiagonalNormal, FullNormal
from kvae.priors import ConditionalNormal

tfd = tfp.distributions


@pytest.fixture
def prior():
    prior = ConditionalNormal(DIM, dtype="float64")
    prior.build((None, 2))
    return randomize(prior)


def test_density_and_draws_are_those_of_the_normal_of_each_condition(prior):
    params = prior(tf.constant(labels(2), "float64"))
    assert np.abs(params["loc"][0] - params["loc"][1]).max() > 0.1
    reference = scipy.stats.norm(params["loc"], params["scale"])
    z = normals(6, 2, DIM)
    np.testing.assert_allclose(
        prior.log_prob(params, tf.constant(z)), reference.logpdf(z).sum(-1)
    )
    draws = prior.sample(params, tf.constant(normals(20000, 2, DIM))).numpy()
    for b in range(2):
        for d in range(DIM):
            law = scipy.stats.norm(params["loc"][b, d], params["scale"][b, d])
            assert scipy.stats.kstest(draws[:, b, d], law.cdf).pvalue > 1e-4
    cold = prior.sample(params, tf.constant(normals(2, DIM)), 0.0)
    np.testing.assert_array_equal(cold, params["loc"])


@pytest.mark.parametrize("kind", [DiagonalNormal, FullNormal])
def test_kl_equals_monte_carlo(prior, kind):
    posterior = kind(DIM, dtype="float64")
    posterior.build((None, 5))
    randomize(posterior, 0.1)
    q, p = posterior(tf.constant(normals(2, 5))), prior(tf.constant(labels(2)))
    kl = tfd.kl_divergence(posterior.distribution(q), prior.distribution(p))
    z, log_q = posterior.sample_and_log_prob(q, tf.constant(normals(40000, 2, DIM)))
    assert_mean(log_q - prior.log_prob(p, z), kl, smallest_bug=0.3)


@pytest.mark.parametrize("kind", [DiagonalNormal, FullNormal])
def test_trains_with_the_exact_kl_and_samples_by_condition(kind):
    vae = tiny_vae(
        kind(DIM), ConditionalNormal(DIM), kvae.objectives.ELBO(), condition=True
    )
    before = vae.prior.get_weights()
    vae.compile(keras.optimizers.Adam(0.01))
    vae.train_step({"x": tf.constant(pixels()), "condition": tf.constant(labels())})
    for old, new in zip(before, vae.prior.get_weights(), strict=True):
        assert (old != new).any()
    assert vae.sample(3, seed=0, condition=labels(3)).shape == (3, 4)


def test_starts_close_to_a_standard_normal():
    params = ConditionalNormal(DIM)(tf.constant(labels(2)))
    np.testing.assert_allclose(params["loc"], 0.0, atol=0.2)
    np.testing.assert_allclose(params["scale"], 1.0, atol=0.2)


def test_a_network_reads_conditions_of_any_shape_and_is_saved(tmp_path):
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5, "tanh")])
    prior = ConditionalNormal(DIM, network)
    condition = tf.constant(normals(2, 3, 2, dtype="float32"))
    expected = prior(condition)
    assert len(prior.trainable_variables) == 6
    twin = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(prior)
    )
    twin.build((None, 3, 2))
    twin.set_weights(prior.get_weights())
    for name, value in twin(condition).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.slow
def test_eager_graph_and_xla_agree(prior):
    assert_compiles(prior.call, tf.constant(labels(4), "float64"))


def test_without_a_condition_it_says_what_to_pass():
    with pytest.raises(ValueError, match="needs a condition; received None"):
        ConditionalNormal(DIM)(None)
    with pytest.raises(ValueError, match="condition"):
        tiny_vae(prior=ConditionalNormal(DIM)).elbo(pixels(2))


def test_min_scale_must_be_positive():
    with pytest.raises(ValueError, match="expects min_scale > 0; received 0"):
        ConditionalNormal(DIM, min_scale=0)
