"""Names in a recipe become parts."""

import functools
import inspect
import sys
from typing import Any

import keras
import numpy as np
import pytest

from kvae import likelihoods, objectives, posteriors, presets, priors
from kvae.core.errors import UserError
from kvae.training.config.config import Config
from kvae.training.config.load_recipe import load_recipe
from kvae.training.run.build_model import build_model, make_part

CONTEXT = {"data_shape": (8, 8, 1), "latent_dim": 3}
X = np.random.default_rng(0).random((40, 8, 8, 1), dtype="float32")


@pytest.mark.parametrize(
    "name", ["StandardNormal", "standard_normal", "standardnormal"]
)
def test_case_and_underscores_do_not_matter(name: str) -> None:
    prior = make_part("prior", name, CONTEXT)
    assert type(prior) is priors.StandardNormal
    assert prior.latent_dim == 3


def test_arguments_reach_the_constructor() -> None:
    spec = {"name": "normal", "scale": "decoder"}
    likelihood = make_part("likelihood", spec, CONTEXT)
    assert type(likelihood) is likelihoods.Normal
    assert likelihood.get_config()["scale"] == "decoder"
    assert likelihood.data_shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("likelihood", "bernouli", "no likelihood 'bernouli'. Did you mean Bernoulli"),
        ("prior", "Prior", "no prior 'Prior'"),
        (
            "objective",
            {"name": "elbo", "bta": 2.0},
            "objective ELBO has no argument 'bta'. Did you mean beta",
        ),
        ("likelihood", {"scale": 2.0}, "likelihood must have a name"),
        (
            "prior",
            {"num_components": 9},
            "no argument 'num_components'. Parts that have it: ConditionalGaussianMixture, "
            "GaussianMixture, VampPrior.",
        ),
        ("objective", {"name": "elbo", "beta": -1.0}, "ELBO expects beta >= 0"),
        (
            "objective",
            {"name": "elbo", "beta": {"name": "linear_warmpu", "steps": 3}},
            "no part 'linear_warmpu'. Did you mean LinearWarmup",
        ),
    ],
)
def test_mistakes_are_named(kind: str, spec: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_part(kind, spec, CONTEXT)
    assert message in str(caught.value)


def test_a_table_inside_a_table_is_a_part() -> None:
    beta = {"name": "linear_warmup", "steps": 10, "end": 2.0}
    objective = make_part("objective", {"name": "elbo", "beta": beta}, CONTEXT)
    assert float(objective.beta(5)) == pytest.approx(1.0)


def test_objectives_wrap_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docs/presets.md` writes it, and the networks inside suit the data."""
    features = sys.modules["kvae.networks.feature_distance"]  # not the function
    train = functools.partial(features.train_features, steps=2)
    monkeypatch.setattr(features, "train_features", train)
    config = Config(
        latent_dim=3,
        objective={
            "name": "adversarial",
            "start_step": 2000,
            "optimizer": "sgd",
            "objective": {"name": "Perceptual", "distance": "features", "weight": 64},
        },
    )
    vae = build_model(config, X)
    assert vae.objective.start_step == 2000
    assert isinstance(vae.objective.optimizer, keras.optimizers.SGD)
    assert vae.objective._network.input_shape == (None, *X.shape[1:])
    inner = vae.objective.objective
    assert float(inner.weight) == 64
    assert inner.distance.feature_model.input_shape == (None, *X.shape[1:])


def test_networks_take_sizes_and_their_place_from_the_data() -> None:
    config = Config(
        latent_dim=3,
        network="mlp",
        encoder={"units": [11]},
        decoder={"name": "conv", "filters": [8, 4], "units": 7},
        likelihood="bernoulli",
    )
    vae = build_model(config, X)
    assert vae.encoder.output_shape == (None, 11)
    assert vae.decoder.output_shape == (None, 8, 8, 4)


def test_large_images_get_a_map_of_latents_unless_a_part_is_named() -> None:
    x = np.random.default_rng(0).random((6, 32, 32, 3), dtype="float32")
    assert len(build_model(Config(), x).latent_shape) == 3
    assert build_model(Config(network="conv"), x).latent_shape == (16,)
    assert build_model(Config(), X).latent_shape == (16,)


def test_latents_have_a_shape_where_it_is_a_list() -> None:
    config = Config(latent_dim=[4, 4, 2], network="residual")
    vae = build_model(config, X)
    assert vae.latent_shape == (4, 4, 2)
    assert vae.embed(X[:3]).shape == (3, 4, 4, 2)
    assert vae.reconstruct(X[:3]).shape == (3, 8, 8, 1)
    thin = {"name": "residual", "widths": [8], "blocks": 2}
    narrow = build_model(Config(latent_dim=[4, 4, 2], encoder=thin, decoder=thin), X)
    assert narrow.latent_shape == (4, 4, 2)
    assert narrow.count_params() < vae.count_params()
    with pytest.raises(UserError, match="latent"):
        build_model(Config(latent_dim=[3, 4, 2], network="residual"), X)


@pytest.mark.parametrize(("network", "units"), [("mlp", 11), ("conv", [11])])
def test_a_number_and_a_list_of_one_are_the_same(network: str, units: Any) -> None:
    config = Config(latent_dim=3, network=network, encoder={"units": units})
    assert build_model(config, X).encoder.output_shape == (None, 11)


def test_a_list_for_one_number_is_refused() -> None:
    config = Config(network="conv", encoder={"units": [11, 12]})
    with pytest.raises(
        UserError, match=r"units of conv encoder must be one number; .*11, 12"
    ):
        build_model(config, X)


def test_an_argument_without_a_name_is_of_the_usual_part() -> None:
    objective = build_model(Config(objective={"beta": 4}), X).objective
    assert type(objective) is objectives.ELBO
    assert float(objective.beta) == 4.0


def test_a_prior_without_a_closed_form_of_the_kl_is_estimated_and_this_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", "kvae"):
        vae = build_model(Config(prior="GaussianMixture", likelihood="normal"), X)
    assert vae.objective.kl == "sampled"
    assert "KL(DiagonalNormal || GaussianMixture) has no closed form" in caplog.text
    exact = Config(prior="GaussianMixture", objective={"kl": "exact"})
    with pytest.raises(UserError, match="has no closed form"):
        build_model(exact, X)


def test_presets_take_arguments_by_their_part() -> None:
    """beta is the preset's own; num_samples is not, and goes to the part by its name."""
    vae = build_model(Config(preset="beta_vae", objective={"beta": 5}), X)
    assert float(vae.objective.beta) == 5.0
    vae = build_model(Config(preset={"name": "BetaVAE", "beta": 6.0}), X)
    assert float(vae.objective.beta) == 6.0
    config = Config(
        preset="vamp_vae", prior={"num_components": 7}, objective={"num_samples": 2}
    )
    vae = build_model(config, X)
    assert type(vae.prior) is priors.VampPrior
    assert vae.prior.weights[0].shape[0] == 7
    assert vae.objective.num_samples == 2
    warm = Config(preset="beta_vae", kl_warmup=2, batch_size=16)
    assert float(build_model(warm, X).objective.beta(3)) == pytest.approx(
        2.0
    )  # of 4, 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "beta_vea"}, "no preset 'beta_vea'. Did you mean beta_vae"),
        ({"preset": "completing_vae"}, "no preset 'completing_vae'"),
        ({"preset": {"name": "iwae", "bta": 3}}, "preset iwae has no argument 'bta'"),
        ({"preset": "iwae", "kl_warmup": 3}, "preset iwae has no weight on the KL"),
        (
            {"preset": "beta_vae", "objective": {"name": "iwae"}},
            "preset beta_vae makes the objective itself; remove yours with --set obj",
        ),
        (
            {"preset": "sigma_vae", "likelihood": "normal"},
            "makes the likelihood itself",
        ),
        (
            {"preset": "deep_vae", "network": "mlp"},
            "remove yours with --set network= --set encoder= --set decoder=",
        ),
    ],
)
def test_mistakes_about_presets_are_named(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        build_model(Config(**changes), X)
    assert message in str(caught.value)


PRESETS = sorted(
    name
    for name, value in vars(presets).items()
    if inspect.isfunction(value)
    and name not in ("dfc_vae", "completing_vae", "deep_vae")
)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_usable_by_its_name(name: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(600, 5)).astype("float32")
    small: dict[str, Any] = {"encoder": {"units": 8}, "decoder": {"units": 8}}
    given = {} if name == "miwae_imputer" else small
    vae = build_model(Config(preset=name, latent_dim=4, **given), vectors)
    assert vae.data_shape == (5,)


def test_the_recipe_of_a_deep_model_builds_it() -> None:
    config = load_recipe("deep_mnist")
    x = np.random.default_rng(0).integers(0, 2, (4, 28, 28, 1)).astype("float32")
    vae = build_model(config, x)
    assert isinstance(vae.posterior, posteriors.TopDownMaps)
    assert vae.data_shape == (28, 28, 1)


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UserError, match=r"no network 'cnv'\. Did you mean conv"):
        build_model(Config(network="cnv"), X)


def test_a_network_of_no_layers_is_refused() -> None:
    with pytest.raises(UserError, match="units must be a tuple of integers"):
        build_model(Config(network="mlp", encoder={"units": []}), X)


def test_warmup_counts_in_epochs() -> None:
    config = Config(kl_warmup=2, batch_size=16, objective={"name": "elbo", "beta": 4.0})
    objective = build_model(config, X).objective
    assert isinstance(objective, objectives.ELBO)
    steps_in_two_epochs = 6  # 40 examples, 16 per batch: 3 batches
    assert float(objective.beta(steps_in_two_epochs // 2)) == pytest.approx(2.0)
    assert float(objective.beta(steps_in_two_epochs)) == pytest.approx(4.0)


def test_pixels_outside_the_support_cannot_choose_bernoulli() -> None:
    assert type(build_model(Config(), X * 3 - 1).likelihood) is likelihoods.Normal


SAMPLED = {"name": "ELBO", "kl": "sampled"}


@pytest.mark.parametrize(("x", "bounds"), [(X, (0, 1)), (9 * X - 3, None)])
def test_pseudo_examples_start_as_examples(x: Any, bounds: Any) -> None:
    prior = {"name": "VampPrior", "num_components": 15}
    config = Config(
        prior=prior, likelihood="normal", objective=SAMPLED, latent_dim=3, seed=1
    )
    vae = build_model(config, x)
    assert vae.prior.bounds == bounds
    (pseudo,) = (w.numpy() for w in vae.prior.weights)
    examples = {row.tobytes() for row in x}
    assert len({row.tobytes() for row in pseudo} & examples) == 15


def test_pseudo_examples_outside_bounds_that_were_given_are_refused() -> None:
    prior = {"name": "VampPrior", "bounds": [0, 0.5]}
    with pytest.raises(UserError, match=r"VampPrior.*within bounds=\(0, 0.5\)"):
        build_model(Config(prior=prior, objective=SAMPLED, latent_dim=3), X)
