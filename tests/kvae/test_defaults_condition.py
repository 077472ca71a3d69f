"""`VAE.for_data` with a condition."""

import logging

import numpy as np
import pytest

import kvae

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
def test_both_networks_and_the_prior_take_what_the_data_show(x, kind, caplog):
    condition, words = CONDITIONS[kind]
    with caplog.at_level(logging.INFO, "kvae"):
        vae = kvae.VAE.for_data(x, 2, condition, conditional_prior=True)
    assert f"a condition: {words}" in caplog.text
    assert "with a learned prior p(z|c)" in caplog.text
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
        (np.full(12, np.nan), "must be finite; received NaN or infinity in 12 places"),
    ],
)
def test_a_wrong_condition_is_refused(condition, message):
    with pytest.raises(ValueError, match=message):
        kvae.VAE.for_data(IMAGES, 2, condition)


def test_a_learned_prior_needs_a_condition_and_classes_have_a_limit():
    with pytest.raises(ValueError, match="needs condition=; received None"):
        kvae.VAE.for_data(IMAGES, 2, conditional_prior=True)
    x = np.zeros((1001, 2), "float32")
    with pytest.raises(ValueError, match="1001 different integers, too many"):
        kvae.VAE.for_data(x, 2, np.arange(1001))
