"""Samples, densities and divergences tell the same story."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from conformance.models import SPECIMENS, compose, each, kept_mlp, randomized
from conformance.specimen import Specimen

from kvae.core.inputs import Inputs
from kvae.noise import Noise
from kvae.objectives import ELBO

MANY = 20_000


def repeated(case, num=MANY):
    """The case's first example, many times over."""
    return Inputs(**{k: tf.repeat(v[:1], num, axis=0) for k, v in case.data.items()})


def normals(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def assert_mean_is(expected, samples, smallest_bug):
    """5 standard errors: one false alarm in 1.7 million."""
    samples = np.asarray(samples, "float64")
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    assert np.all(5 * error < smallest_bug), "too few samples to see a bug"
    assert np.all(np.abs(samples.mean(axis=0) - expected) < 5 * error + 1e-6)


def assert_density_integrates_to_one(z, log_prob):
    """E_q[r(z) / q(z)] = 1 for any density r that q covers; here a normal within q."""
    z = np.asarray(z, "float64")
    loc, scale = z.mean(axis=0), 0.5 * z.std(axis=0)
    log_r = -0.5 * np.square((z - loc) / scale) - np.log(scale * np.sqrt(2 * np.pi))
    assert_mean_is(1.0, np.exp(log_r.sum(axis=-1) - log_prob), smallest_bug=0.5)


@each("posterior")
def test_draws_of_a_posterior_follow_its_density(specimen):
    case = randomized("posterior", specimen)
    posterior, features = case.model.posterior, case.model.encoder(case.data["x"][:1])
    features = tf.repeat(features, MANY, axis=0)
    case.model.prior(None)
    noise = normals(1, MANY, posterior.noise_dim)
    z, together = posterior.sample_and_log_prob(posterior(features), noise)
    with tf.GradientTape() as tape:
        tape.watch(features)
        log_prob = posterior.log_prob(posterior(features), tf.stop_gradient(z))
    np.testing.assert_allclose(together, log_prob, rtol=1e-3, atol=1e-3)
    # E_q[ d log q(z) / d anything ] = 0 for draws of q, and for no others.
    assert_mean_is(0.0, tape.gradient(log_prob, features), smallest_bug=0.5)
    if posterior.space == "R^D":
        assert_density_integrates_to_one(z[0], log_prob[0])


@each("prior")
def test_draws_of_a_prior_follow_its_density(specimen):
    case = randomized("prior", specimen, accurate=True)
    prior = case.model.prior
    params = prior(repeated(case).condition)
    z = prior.sample(params, normals(MANY, prior.noise_dim))
    assert z.shape == (MANY, prior.latent_dim)
    log_prob = prior.log_prob(params, z[None])[0]
    if prior.space == "R^D":
        assert_density_integrates_to_one(z, log_prob)
    else:  # on the sphere: uniform, so no direction is preferred
        np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(log_prob, -np.log(4 * np.pi), rtol=1e-5)
        assert_mean_is(0.0, z, smallest_bug=0.05)


@each("prior")
def test_temperature_zero_removes_the_spread_within_the_prior(specimen):
    case = randomized("prior", specimen)
    prior = case.model.prior
    params = prior(repeated(case, 500).condition)
    noise = normals(500, prior.noise_dim)
    warm, cold = (prior.sample(params, noise, t).numpy() for t in (1.0, 0.0))
    if prior.space == "R^D":
        assert np.all(np.std(cold, axis=0) < np.std(warm, axis=0))
    else:  # a direction has no spread to shrink
        np.testing.assert_array_equal(cold, warm)


@each("likelihood")
def test_draws_of_a_likelihood_follow_its_density(specimen):
    case = randomized("likelihood", specimen)
    likelihood = case.model.likelihood
    features = tf.repeat(normals(1, case.model.decoder.output_shape[-1]), 4000, axis=0)
    x = likelihood.distribution(likelihood(features)).sample(seed=(1, 2))
    assert x.shape == (4000, *likelihood.data_shape)
    assert np.all(likelihood.supports(x))
    with tf.GradientTape() as tape:
        tape.watch(features)
        log_prob = likelihood.log_prob(likelihood(features), x)
    score = tape.gradient(log_prob, features).numpy().astype("float64")
    error = score.std(axis=0, ddof=1) / np.sqrt(len(score))
    assert np.all(np.abs(score.mean(axis=0)) < 5 * error + 1e-6)


@each("likelihood")
def test_log_prob_is_finite_at_the_edges_whatever_the_decoder_says(specimen):
    case = randomized("likelihood", specimen)
    likelihood = case.model.likelihood
    x = case.data["x"]
    for scale in (1.0, 30.0):
        features = scale * normals(len(x), case.model.decoder.output_shape[-1])
        with tf.GradientTape() as tape:
            tape.watch(features)
            log_prob = likelihood.log_prob(likelihood(features), x)
        assert np.isfinite(log_prob).all()
        assert np.isfinite(tape.gradient(log_prob, features)).all()


def pairs():
    """Posteriors with their priors, and priors with their posteriors."""
    for kind in ("posterior", "prior"):
        for specimen in SPECIMENS[kind]:
            yield pytest.param(kind, specimen, id=f"{kind}-{specimen}")


@pytest.mark.parametrize(("kind", "specimen"), list(pairs()))
def test_the_rate_is_not_negative_and_its_estimates_agree(kind, specimen):
    case = randomized(kind, specimen, accurate=True)
    noise = Noise(tf.constant([3, 4]))
    draw = case.model.draw(repeated(case), noise, 1, training=False)
    sampled = (draw.log_posterior - draw.log_prior)[0].numpy().astype("float64")
    error = sampled.std(ddof=1) / np.sqrt(len(sampled))
    assert sampled.mean() > -5 * error
    if specimen.exact_kl:
        exact = case.model.objective.rate(case.model, draw).numpy()
        np.testing.assert_allclose(exact, exact[0], rtol=1e-4)
        assert exact[0] >= 0
        assert_mean_is(exact[0], sampled, smallest_bug=0.2)


@pytest.mark.parametrize(("kind", "specimen"), list(pairs()))
def test_the_elbo_takes_the_closed_form_where_there_is_one(kind, specimen):
    make = functools.partial(compose, make_network=kept_mlp, **{kind: specimen})
    chosen = make(objective=Specimen(ELBO, {}))
    assert chosen.model.objective.exact_rate is specimen.exact_kl
    exact = Specimen(ELBO, {"kl": "exact"})
    if specimen.exact_kl:
        assert make(objective=exact).model.built
    else:
        with pytest.raises(ValueError, match="has no closed form"):
            make(objective=exact)
