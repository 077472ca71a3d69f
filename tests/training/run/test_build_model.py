"""Names in a recipe become parts."""

from typing import Any

import numpy as np
import pytest

from kvae import likelihoods, objectives, priors
from kvae.core.errors import UserError
from kvae.training.config.config import Config
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
        ("objective", {"beta": 2.0}, "objective must say its name"),
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


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UserError, match=r"no network 'cnv'\. Did you mean conv"):
        build_model(Config(network="cnv"), X)


def test_a_network_of_no_layers_is_refused() -> None:
    with pytest.raises(UserError, match="mlp expects at least one hidden layer"):
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
