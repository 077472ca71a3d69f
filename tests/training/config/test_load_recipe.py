"""Recipes by name, changed from the command line."""

import pathlib

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.networks import FeatureDistance
from kvae.training.config.config import Config
from kvae.training.config.load_recipe import load_recipe, recipe_names
from kvae.training.config.toml import to_toml
from kvae.training.data.sources import DataSet
from kvae.training.run.build_model import build_model
from kvae.training.run.fitted_prior import check_fitted_prior

SHAPES = {
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "celeb_a": (64, 64, 3),
    "emoji64.npz": (64, 64, 3),
}
DATA = {name.removesuffix(".npz"): name for name in SHAPES}
SHAPES |= {"pictures": (64, 64, 3), "windows.npy": (20, 3)}
DATA |= {"iwae": "mnist", "vampprior": "mnist", "autoencoder_kl": "pictures"}
DATA |= {"forecast": "windows.npy"}


def test_the_recipes_are_there() -> None:
    assert set(DATA) <= set(recipe_names())


@pytest.mark.parametrize("name", sorted(DATA))
def test_every_recipe_builds_its_model(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The features of autoencoder_kl would be trained on more pictures than there are.
    monkeypatch.setattr(FeatureDistance, "adapt", lambda *_: None)
    config = load_recipe(name)
    assert config.data == DATA[name]
    shape = SHAPES[DATA[name]]
    x = np.random.default_rng(0).random((4, *shape), dtype="float32")
    vae = build_model(config, x)
    assert vae.data_shape == shape
    assert vae.latent_dim == np.prod(config.latent_dim)
    if config.fit_prior is not None:
        many = np.repeat(x, 300, axis=0)
        check_fitted_prior(vae, config, DataSet(name, many, x, x))


def test_a_recipe_may_have_a_second_name() -> None:
    assert load_recipe("mnist_complete") == load_recipe("mnist_half")
    assert load_recipe("mnist_half").complete == "left_half"
    assert "mnist_complete" in recipe_names()


def test_changes_and_settings_override_in_this_order() -> None:
    config = load_recipe(
        "digits",
        {"epochs": 7, "latent_dim": None},
        ["epochs=9", "encoder.units=[32]"],
    )
    assert config.epochs == 9
    assert config.latent_dim == load_recipe("digits").latent_dim
    assert config.encoder == {"units": [32]}


def test_a_preset_replaces_what_the_recipe_says_of_the_same_parts() -> None:
    for preset in ({"preset": "beta_vae"}, None):
        settings = ["objective.beta=4"] if preset else ["preset=beta_vae"]
        config = load_recipe("vampprior", preset, settings)
        assert config.prior is None
        assert config.kl_warmup == 0
        assert config.objective == ({"beta": 4} if preset else None)
        assert config.encoder == load_recipe("vampprior").encoder


@pytest.mark.parametrize(
    "setting", ["preset=beta_vae", "prior=StandardNormal", "complete=left_half"]
)
def test_a_fitted_prior_of_a_recipe_gives_way_to_a_prior_of_the_users(
    setting: str, tmp_path: pathlib.Path
) -> None:
    recipe = tmp_path / "a.toml"
    recipe.write_text('fit_prior = "mixture"')
    assert load_recipe(str(recipe)).fit_prior == "mixture"
    assert load_recipe(str(recipe), settings=[setting]).fit_prior is None
    both = [setting, "fit_prior=real_nvp"]
    assert load_recipe(str(recipe), settings=both).fit_prior == "real_nvp"


def test_a_key_is_taken_back_by_an_empty_value() -> None:
    assert load_recipe("mnist").likelihood == "bernoulli"
    config = load_recipe("mnist", settings=["likelihood=", "epochs="])
    assert (config.likelihood, config.epochs) == (None, Config.epochs)
    with pytest.raises(UserError, match="no key 'likelihod'. Did you mean likelihood"):
        load_recipe("mnist", settings=["likelihod="])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr=3", "no key 'lr'. Did you mean learning_rate?"),
        ("beta=3", "no key 'beta'. Did you mean objective.beta?"),
        ("learning_rte=3", "Did you mean learning_rate"),
        ("quux=3", "no key 'quux'. kvae train --keys lists all of them."),
    ],
)
def test_an_unknown_key_names_the_near_ones(setting: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_recipe("digits", settings=[setting])
    assert message in str(caught.value)


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no recipe 'digit'\. Did you mean digits"):
        load_recipe("digit")


def test_a_setting_cannot_reach_into_a_number() -> None:
    with pytest.raises(UserError, match="epochs has no parts"):
        load_recipe("digits", settings=["epochs.units=3"])


def test_a_written_configuration_is_a_recipe(tmp_path: pathlib.Path) -> None:
    config = load_recipe("mnist", settings=['prior={name="standard_normal"}'])
    (tmp_path / "config.toml").write_text(to_toml(config.to_dict()))
    assert load_recipe(str(tmp_path / "config.toml")) == config
    assert load_recipe(str(tmp_path)) == config
