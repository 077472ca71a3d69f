"""`VAE.for_data` with a condition."""

import numpy as np
import pytest

import kvae

pytestmark = pytest.mark.usefixtures("eagerly")

IMAGES = np.random.default_rng(0).integers(0, 2, (12, 6, 6)).astype("float32")
CONDITIONS = {
    "labels": (np.tile([0, 1, 7], 4), "3 classes, 0, 1, 7, because it holds integers"),
    "truths": (np.tile([True, False], 6), "2 classes, 0, 1, because"),
    "numbers": (np.linspace(0, 1, 12), "numbers of shape ()"),
    "vectors": (np.ones((12, 3)), "numbers of shape (3,)"),
    "images": (IMAGES, "numbers of shape (6, 6)"),
}


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("x", [IMAGES, IMAGES.reshape(12, 36)], ids=["image", "vector"])
def test_both_networks_and_the_prior_take_what_the_data_show(x, kind, capsys):
    condition, words = CONDITIONS[kind]
    vae = kvae.VAE.for_data(x, 2, condition, conditional_prior=True)
    line = capsys.readouterr().out
    assert f"a condition: {words}" in line
    assert "with a learned prior p(z|c)" in line
    assert isinstance(vae.prior, kvae.priors.ConditionalNormal)
    assert vae.condition.shape == condition.shape[1:]
    assert np.isfinite(vae.elbo({"x": x, "condition": condition})).all()
    assert vae.sample(3, condition=condition[0]).shape == (3, *x.shape[1:])


def test_presets_pass_the_condition_on():
    labels = CONDITIONS["labels"][0]
    vae = kvae.presets.beta_vae(IMAGES.reshape(12, 36), 2, condition=labels)
    assert vae.condition.classes == (0, 1, 7)
    assert isinstance(vae.prior, kvae.priors.StandardNormal)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (np.zeros(5, int), "one row per example; received 12 and 5"),
        (np.array(["a"] * 12), r"filled array of numbers.*return_inverse"),
        (np.full(12, np.nan), "condition holds 12 entries that are NaN or infinite"),
    ],
)
def test_a_wrong_condition_is_refused(condition, message):
    with pytest.raises(ValueError, match=message):
        kvae.VAE.for_data(IMAGES, 2, condition)


def test_a_learned_prior_needs_a_condition_and_classes_have_a_limit():
    with pytest.raises(ValueError, match="received no condition"):
        kvae.VAE.for_data(IMAGES, 2, conditional_prior=True)
    x = np.zeros((1001, 2), "float32")
    with pytest.raises(ValueError, match="1001 different integers, too many"):
        kvae.VAE.for_data(x, 2, np.arange(1001))


def test_a_condition_that_nobody_takes_is_refused():
    x, labels = IMAGES.reshape(12, 36), np.tile([0, 1], 6)
    plain = {
        "encoder": kvae.networks.mlp((36,), (8,)),
        "decoder": kvae.networks.mlp((2,), (8,), role="decoder"),
    }
    with pytest.raises(ValueError, match="the decoder take none"):
        kvae.VAE.for_data(x, 2, labels, **plain)
    with pytest.raises(ValueError, match="received a prior too"):
        kvae.VAE.for_data(x, 2, labels, True, prior=kvae.priors.StandardNormal(2))
    with pytest.raises(ValueError, match="received no condition"):
        kvae.VAE.for_data(x, 2, conditional_prior=True)
    with pytest.raises(
        ValueError, match="makes its condition, the visible part, from x"
    ):
        kvae.presets.completing_vae(IMAGES, 2, condition=labels)
    with pytest.raises(ValueError, match="at least one number each"):
        kvae.presets.completing_vae(IMAGES, 2, units=())


def test_the_line_names_who_takes_the_condition(capsys):
    x, labels = IMAGES.reshape(12, 36), np.tile([0, 1], 6)
    vae = kvae.VAE.for_data(x, 2, labels, encoder=kvae.networks.mlp((36,), (8,)))
    assert "the decoder takes a condition" in capsys.readouterr().out
    assert vae.condition.classes == (0, 1)


def test_counts_are_taken_with_their_likelihood():
    counts = np.random.default_rng(0).poisson(3.0, (20, 6))
    vae = kvae.VAE.for_data(counts, 2, likelihood=kvae.likelihoods.Poisson((6,)))
    assert np.isfinite(vae.elbo(counts)).all()


def test_large_labels_are_refused_in_words():
    with pytest.raises(ValueError, match="less than 2\\*\\*31; received 202401010001"):
        kvae.VAE.for_data(IMAGES, 2, np.tile([0, 1], 6) + 202401010000)


@pytest.mark.parametrize("x", [IMAGES, IMAGES.reshape(12, 36)], ids=["image", "vector"])
@pytest.mark.slow
def test_both_layers_of_a_ladder_take_the_condition(x):
    labels = np.tile([0, 1, 7], 4)
    vae = kvae.presets.ladder_vae(x, 4, top_dim=2, condition=labels)
    assert vae.condition.classes == (0, 1, 7)
    one, other = (vae.sample(5, seed=0, condition=c) for c in (0, 7))
    assert np.abs(one - other).max() > 1e-4
    vae.compile()
    vae.fit({"x": x, "condition": labels}, verbose=0)
