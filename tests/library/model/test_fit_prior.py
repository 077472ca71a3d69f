"""A fitted prior puts samples where the data are, and leaves the networks alone."""

import keras
import numpy as np
import pytest
from support.tiny_models import pixels, tiny_vae

import kvae


@pytest.fixture(scope="module")
def data():
    """(400, 4) around the points 2 and -2 of every axis."""
    rng = np.random.default_rng(0)
    sign = np.where(rng.random((400, 1)) < 0.3, 1.0, -1.0)
    return (2.0 * sign + 0.3 * rng.normal(size=(400, 4))).astype("float32")


@pytest.fixture(scope="module")
def trained(data):
    keras.utils.set_random_seed(0)
    model = kvae.VAE(
        kvae.networks.mlp((4,), (32,)),
        kvae.networks.mlp((2,), (32,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Normal((4,)),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.01), steps_per_execution=13)
    model.fit(data, epochs=40, verbose=0)
    return model


@pytest.mark.parametrize(
    "prior",
    [
        "mixture",
        pytest.param("real_nvp", marks=pytest.mark.slow),
        pytest.param("flow_matching", marks=pytest.mark.slow),
    ],
)
def test_the_bound_rises_and_the_clusters_have_their_shares(trained, data, prior):
    options = {}
    if prior != "mixture":
        options = {"epochs": 250, "batch_size": 400, "learning_rate": 1e-2}
    history = keras.callbacks.History()
    if prior == "flow_matching":
        options |= {"width": 32, "num_blocks": 1, "callbacks": [history]}
    better = kvae.fit_prior(trained, data, prior, **options)
    if prior == "flow_matching":
        # A velocity of zero misses z - e, of variance 1 + 1 in each dimension.
        assert history.history["loss"][0] == pytest.approx(2, abs=0.3)
        assert history.history["loss"][-1] < history.history["loss"][0] - 0.2
    gained = better.elbo(data, num_samples=8) - trained.elbo(data, num_samples=8)
    assert gained.mean() > 2 * gained.std() / np.sqrt(len(data))
    np.testing.assert_array_equal(better.reconstruct(data), trained.reconstruct(data))
    samples = better.sample(400, seed=0)
    near = np.abs(np.abs(samples) - 2).max(axis=1) < 1.0
    assert near.mean() > 0.9
    share = (samples.mean(axis=1) > 0).mean()
    error = np.sqrt(0.3 * 0.7 / 400)
    assert abs(share - (data.mean(axis=1) > 0).mean()) < 5 * error
    np.testing.assert_array_equal(samples, better.sample(400, seed=0))


@pytest.mark.slow
def test_the_same_seed_fits_the_same_prior(trained, data):
    given = {"prior": "real_nvp", "epochs": 2, "num_steps": 2, "units": (8,)}
    first, again, other = (
        kvae.fit_prior(trained, data, seed=seed, **given).prior.get_weights()
        for seed in (3, 3, 4)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert any(np.any(a != b) for a, b in zip(first, other, strict=True))


@pytest.mark.slow
def test_a_prior_of_your_own_leaves_the_global_generator_alone(trained, data):
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    own = kvae.priors.FlowMatching(2, width=4, num_blocks=1)
    kvae.fit_prior(trained, data, own, epochs=1)
    assert np.random.random() == expected


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"fit_prior knows flow_matching, .*'gan'"):
        kvae.fit_prior(tiny_vae(), pixels(), "gan")
    sphere = tiny_vae(
        kvae.posteriors.PowerSpherical(3), kvae.priors.UniformSphere(3), condition=False
    )
    with pytest.raises(ValueError, match="on the unit sphere"):
        kvae.fit_prior(sphere, pixels())
    conditional = tiny_vae(condition=True)
    x = {"x": pixels(), "condition": np.eye(2, dtype="float32")[np.arange(32) % 2]}
    with pytest.raises(ValueError, match=r"RealNVP is p\(z\), but this model"):
        kvae.fit_prior(conditional, x, "real_nvp")


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_the_prior_is_chosen_by_the_shape_of_the_latents(data, trained):
    x = np.random.default_rng(0).random((8, 16, 16, 1)).astype("float32")
    maps = kvae.VAE.for_data(x, latent_dim=(4, 4, 1))
    small = {"epochs": 1, "width": 4}
    assert isinstance(kvae.fit_prior(maps, x, **small).prior, kvae.priors.FlowMatching)
    vectors = kvae.fit_prior(trained, data, num_components=2)
    assert isinstance(vectors.prior, kvae.priors.GaussianMixture)
