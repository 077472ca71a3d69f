import keras
import numpy as np
import pytest

import kvae
from kvae import evaluation, networks, reports


@pytest.fixture(scope="module")
def vae():
    keras.utils.set_random_seed(0)
    likelihood = kvae.likelihoods.Bernoulli((4, 4))
    x = np.zeros((1, 4, 4), "float32")
    vae = kvae.presets.deep_vae(
        x, {1: 1, 2: 2}, width=4, features=2, likelihood=likelihood, seed=0
    )
    rng = np.random.default_rng(0)
    for weight in vae.trainable_variables:
        weight.assign_add(0.3 * rng.normal(size=weight.shape))
    return vae


@pytest.fixture(scope="module")
def x():
    return (np.random.default_rng(1).random((5, 4, 4)) < 0.4).astype("float32")


def test_nothing_is_the_same_for_all_and_every_level_is_the_reconstruction(vae, x):
    found = evaluation.level_reconstructions(vae, x)
    assert list(found) == ["nothing", "1x1", "2x2"]
    same = found["nothing"][:1].repeat(5, 0)  # a product rounds by the row of a batch
    np.testing.assert_allclose(found["nothing"], same, rtol=1e-6)
    np.testing.assert_allclose(found["2x2"], vae.reconstruct(x), rtol=1e-6)
    assert np.abs(found["1x1"] - found["1x1"][:1]).max() > 1e-3
    assert np.abs(found["1x1"] - found["2x2"]).max() > 1e-3


@pytest.mark.usefixtures("eagerly")
def test_the_batch_size_does_not_matter(vae, x):
    whole = evaluation.level_reconstructions(vae, x)
    cut = evaluation.level_reconstructions(vae, x, batch_size=2)
    for name in whole:
        np.testing.assert_allclose(cut[name], whole[name], rtol=1e-5)


def test_a_model_without_levels_is_refused(x):
    vae = kvae.VAE(
        networks.mlp((4, 4), (8,)),
        networks.mlp((2,), (8,), role="decoder"),
        kvae.posteriors.DiagonalNormal(2),
        kvae.likelihoods.Bernoulli((4, 4)),
    )
    with pytest.raises(ValueError, match="takes a model with levels of maps"):
        evaluation.level_reconstructions(vae, x)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_the_report_shows_what_each_level_knows(vae, x):
    inputs = kvae.core.inputs.Inputs(x)
    names = evaluation.suitable(vae, inputs)
    assert "information" not in names  # a pass through the trunk for each pair
    results = {"elbo": evaluation.elbo(vae, x)}
    page = reports.report(vae, x, results=results)
    assert "what the levels down to 1x1 and 2x2 know" in page
