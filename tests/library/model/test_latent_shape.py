"""Latents with a shape: flat inside, shaped wherever a network or a user sees them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvae
from kvae import posteriors, priors

SHAPE = (2, 2, 3)
X = np.random.default_rng(0).integers(0, 2, (9, 4, 4, 1)).astype("float32")
SAMPLED = kvae.objectives.ELBO(kl="sampled")


def vae(posterior=None, prior=None, objective=None, shape=SHAPE):
    keras.utils.set_random_seed(0)
    x = keras.Input((4, 4, 1))
    encoder = keras.Model(x, keras.layers.Conv2D(5, 3, 2, "same", activation="tanh")(x))
    z = keras.Input(shape)
    hidden = keras.layers.Conv2D(8, 3, padding="same", activation="tanh")(z)
    decoder = keras.Model(z, kvae.networks.DepthToSpace(2)(hidden))
    posterior = posterior or posteriors.DiagonalNormal(shape)
    return kvae.VAE(
        encoder,
        decoder,
        posterior,
        kvae.likelihoods.Bernoulli((4, 4, 1)),
        prior=prior,
        objective=objective,
        seed=0,
    )


def test_latents_have_their_shape_wherever_they_are_seen():
    model = vae()
    assert (model.latent_shape, model.latent_dim) == (SHAPE, 12)
    q = model.encode(X)
    assert q.batch_shape == (9,)
    assert q.event_shape == SHAPE
    assert q.mean().shape == model.embed(X).shape == (9, *SHAPE)
    z = q.sample(seed=1)
    np.testing.assert_allclose(  # the density of a shape is that of its entries
        q.log_prob(z),
        np.sum(_normal(z, q.mean(), q.stddev()), axis=(1, 2, 3)),
        rtol=1e-5,
    )
    shaped = model.decode(z).mean()
    np.testing.assert_array_equal(shaped, model.decode(np.reshape(z, (9, 12))).mean())
    np.testing.assert_allclose(
        model.reconstruct(X), model.decode(q.mean()).mean(), rtol=1e-5
    )


def _normal(z, loc, scale):
    z, loc, scale = (np.asarray(v, "float64") for v in (z, loc, scale))
    return -0.5 * ((z - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def test_the_heads_look_at_one_place_each():
    """A change in one corner of the features moves the latents of that corner alone."""
    posterior = posteriors.DiagonalNormal(SHAPE)
    features = np.random.default_rng(1).normal(size=(1, 2, 2, 5)).astype("float32")
    before = np.reshape(posterior(features)["loc"], SHAPE)
    features[0, 1, 0] += 1
    moved = np.reshape(posterior(features)["loc"], SHAPE) != before
    assert moved[1, 0].all()
    assert not moved[0].any()
    assert not moved[1, 1].any()
    assert posterior.count_params() == 2 * (5 * 3 + 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("posterior", "prior"),
    [
        (posteriors.FullNormal(SHAPE), priors.VampPrior(SHAPE, (4, 4, 1), 4)),
        (posteriors.SylvesterFlow(SHAPE), priors.GaussianMixture(12, 3)),
        (posteriors.InverseAutoregressiveFlow(SHAPE), priors.RealNVP(12)),
        (posteriors.PowerSpherical(SHAPE), priors.UniformSphere(SHAPE)),
        (None, priors.MaskedAutoregressiveFlow(SHAPE)),
    ],
    ids=lambda part: type(part).__name__,
)
@pytest.mark.usefixtures("eagerly")
def test_every_posterior_and_prior_takes_them(posterior, prior):
    model = vae(posterior, prior, SAMPLED)
    model.compile(keras.optimizers.Adam(0.01))
    before = model.elbo(X, num_samples=20).mean()
    model.fit(X, epochs=12, batch_size=9, verbose=0)
    assert model.elbo(X, num_samples=20).mean() > before
    q = model.encode(X)
    assert q.event_shape == SHAPE
    assert np.isfinite(q.log_prob(q.sample(seed=2))).all()
    assert model.sample(3, seed=0).shape == (3, 4, 4, 1)
    result = kvae.evaluation.log_likelihood(model, X[:2], num_samples=8)
    assert np.isfinite(result.per_example).all()


@pytest.mark.slow
def test_they_are_saved_and_exported(tmp_path):
    model = vae()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.latent_shape == SHAPE
    np.testing.assert_array_equal(loaded.elbo(X), model.elbo(X))
    path = kvae.export.saved_model(model, tmp_path / "out", allow_untrained=True)
    served = tf.saved_model.load(str(path)).signatures
    z = model.embed(X)
    np.testing.assert_allclose(
        served["decode"](z=tf.constant(z))["mean"], model.decode(z).mean(), atol=1e-6
    )
    np.testing.assert_allclose(served["encode"](x=tf.constant(X))["loc"], z, atol=1e-6)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"decode takes z of shape \(N, 2, 2, 3\)"):
        vae().decode(np.zeros((4, 3, 2, 2)))
    with pytest.raises(
        ValueError, match=r"takes z of shape \(2, 2, 3\).*shape \(12,\)"
    ):
        vae(posteriors.DiagonalNormal(12))
    for wrong in ((), (2, 0), (2.5, 3)):
        with pytest.raises(ValueError, match="positive integer, or a shape such as"):
            posteriors.DiagonalNormal(wrong)
