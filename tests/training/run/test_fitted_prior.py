"""A prior fitted to a run after its training: by a recipe, by the verb, and undone."""

import dataclasses
import pathlib
import random
from collections.abc import Callable

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.linear_gaussian import LinearGaussian
from support.quick_runs import QUICK, copied

import kvae
from kvae.core.errors import UserError
from kvae.training import Run, RunDirectory, load_data, load_recipe, open_run, train
from kvae.training.commands import run_reports, verbs
from kvae.training.config.config import Config
from kvae.training.data.sources import DataSet
from kvae.training.run import fitted_prior
from kvae.training.run.fitted_prior import (
    check_fitted_prior,
    choose_fitted_prior,
    fit_prior_of_run,
    fits_prior,
    misses_prior,
    training_inputs,
)
from kvae.training.run.runner import fit_prior, resume, undo_fit_prior

FLOW = {"name": "flow_matching", "epochs": 1, "width": 8, "num_blocks": 1}
FLOW |= {"num_steps": 2, "density_steps": 2}


def test_the_check_before_training_uses_up_no_random_numbers() -> None:
    """Otherwise a run would train differently because it fits a prior afterwards."""
    x = np.random.default_rng(0).random((64, 8, 8, 1)).astype("float32")
    vae = kvae.VAE.for_data(x, latent_dim=(2, 2, 1))
    config = load_recipe("digits", settings=["fit_prior=flow_matching"])
    keras.utils.set_random_seed(0)
    expected = random.random(), np.random.random()
    keras.utils.set_random_seed(0)
    check_fitted_prior(vae, config, DataSet("pictures", x, x, x))
    assert (random.random(), np.random.random()) == expected


@pytest.fixture(scope="module")
def run(trained: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Trained without; the tests below change it in their order."""
    return copied(trained(), tmp_path_factory.mktemp("runs") / "a")


@pytest.mark.slow
def test_the_verb_writes_the_model_with_a_mixture_and_keeps_the_other(run: Run) -> None:
    """Independent form: `kvae.fit_prior` on the data as they are."""
    spec = {"name": "mixture", "num_components": 4}
    fitted = fit_prior(run.directory.path, spec)
    opened = open_run(run.directory.path)
    x = load_data("digits", validation=0.1).train
    expected = kvae.fit_prior(run.vae, x, "mixture", num_components=4)
    assert_allclose(opened.vae.sample(5, seed=1), expected.sample(5, seed=1), atol=1e-5)
    assert_array_equal(
        run.directory.load_trained().sample(5, seed=1), run.vae.sample(5, seed=1)
    )
    assert opened.config.fit_prior == spec
    before, now = run.metrics["test"], fitted.metrics["test"]
    assert opened.metrics["test_as_trained"] == before
    bound = expected.elbo(run.data.test, num_samples=1, seed=0).mean()
    assert now["elbo"]["value"] == pytest.approx(bound, abs=1e-3)
    assert now["distortion"]["value"] == pytest.approx(before["distortion"]["value"])


@pytest.mark.slow
def test_another_prior_takes_its_place_and_undo_brings_the_first_back(run: Run) -> None:
    path = run.directory.path
    fit_prior(path, FLOW)
    assert isinstance(open_run(path).vae.prior, kvae.priors.FlowMatching)
    undo_fit_prior(path)
    opened = open_run(path)
    assert_array_equal(opened.vae.sample(5, seed=1), run.vae.sample(5, seed=1))
    assert opened.config == run.config
    assert opened.metrics["test"] == run.metrics["test"]
    assert set(opened.metrics) == {"test", "training"}
    assert not run.directory.trained_file.exists()
    with pytest.raises(UserError, match="there is nothing to undo"):
        undo_fit_prior(path)


@pytest.mark.slow
def test_the_prior_of_a_trial_is_fitted_no_longer_than_twice_its_training(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1294 examples make 6 steps of 256: 10 passes in 60 steps, but as told if told."""
    given: list[object] = []

    def stopped(*_: object, **options: object) -> None:
        given.append(options.get("epochs"))
        raise ValueError("stopped")

    monkeypatch.setattr(kvae, "fit_prior", stopped)
    told = {"name": "real_nvp", "epochs": 3}
    for spec, steps in [("real_nvp", 30), ("real_nvp", None), (told, 30)]:
        config = dataclasses.replace(run.config, fit_prior=spec)
        with pytest.raises(UserError, match="stopped"):
            fit_prior_of_run(
                run.directory, config, run.vae, run.data, run.metrics, steps
            )
    assert given == [10, None, 3]


def test_a_fit_that_is_interrupted_leaves_a_model_with_its_own_numbers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ELBO of a flow takes long, so users interrupt it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = run.directory.path
    monkeypatch.setattr(fitted_prior, "measure_test", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_prior(path, {"name": "mixture", "num_components": 4})
    opened = open_run(path)
    assert type(opened.vae.prior) is type(run.vae.prior)
    assert opened.metrics["test"] == run.metrics["test"]
    assert opened.config == run.config


def test_numbers_of_the_prior_of_training_are_named(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """They stand in for those of a flow whose ELBO takes long."""
    before = {**run.metrics["test"], "pixels": "binarized once, fixed seed"}
    later = dataclasses.replace(run, metrics={"test_as_trained": before})
    verbs._show(later)
    assert ", with the prior of training: " in capsys.readouterr().out
    verbs._show(run)
    assert "prior of training" not in capsys.readouterr().out
    facts = run_reports._facts(later, run.directory.path)
    assert facts["pixels"] == before["pixels"]


@pytest.mark.slow
def test_a_run_killed_while_it_is_fitted_resumes(
    trained: Callable[..., Run], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prior is also made before training, and changes none of its numbers."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    plain = load_recipe("digits", settings=QUICK)
    config = dataclasses.replace(plain, fit_prior=FLOW)
    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "write_fitted", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "a")
    directory = RunDirectory(tmp_path / "a")
    assert not directory.is_finished()
    with pytest.raises(UserError, match="is not finished; resume it first"):
        fit_prior(tmp_path / "a")
    again = resume(tmp_path / "a")
    assert isinstance(again.vae.prior, kvae.priors.FlowMatching)
    assert directory.is_finished()
    assert again.metrics["test_as_trained"] == trained().metrics["test"]


def test_pixels_that_training_draws_are_drawn_for_the_fit_too() -> None:
    config = load_recipe("digits", settings=["binarize=dynamic"])
    data = load_data("digits", validation=0.1)
    x = training_inputs(data, config)["x"]
    assert set(np.unique(x)) == {0.0, 1.0}
    error = np.sqrt((data.train * (1 - data.train)).sum()) / data.train.size
    assert abs(x.mean() - data.train.mean()) < 5 * error


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["fit_prior=mixtur"], "fit_prior knows flow_matching, mixture"),
        (["fit_prior.name=mixture", "fit_prior.components=3"], "Did you mean num_comp"),
        (["fit_prior.num_steps=3"], "fit_prior must have a name"),
        (
            ['fit_prior={name="flow_matching", num_steps=0}'],
            "num_steps must be an integer",
        ),
        (["fit_prior.name=mixture", "fit_prior.num_components=2000"], "than the 1294"),
        (["preset=hyperspherical_vae", "fit_prior=mixture"], "on the unit sphere"),
        (["complete=left_half", "network=", "fit_prior=mixture"], "complete learns"),
    ],
)
def test_a_prior_that_does_not_fit_is_refused_before_training(
    tmp_path: pathlib.Path, settings: list[str], message: str
) -> None:
    base = ["encoder=", "decoder="] if "complete=left_half" in settings else QUICK
    config = load_recipe("digits", settings=[*base, "fit_prior=", *settings])
    with pytest.raises(UserError, match=message):
        train(config, tmp_path / "a")
    assert not (tmp_path / "a" / "history.csv").exists()


def test_maps_that_were_chosen_from_the_data_get_flow_matching() -> None:
    x = np.random.default_rng(0).random((4, 32, 32, 3), "float32")
    vae = kvae.VAE.for_data(x)
    config = Config(data="pictures")
    assert choose_fitted_prior(vae, config, 100).fit_prior == "flow_matching"
    for decided in ({"latent_dim": [8, 8, 4]}, {"fit_prior": "real_nvp"}):
        given = dataclasses.replace(config, **decided)
        assert choose_fitted_prior(vae, given, 100) is given
    vector = kvae.VAE.for_data(x, latent_dim=4)
    assert choose_fitted_prior(vector, config, 100) is config


def test_latents_that_leave_the_standard_normal_are_noticed() -> None:
    """The exact posteriors of data from the model add up to its prior; of others, not."""
    exact = LinearGaussian.random()
    x = exact.sample(300, seed=1)
    data = DataSet("exact", x, x, x[:0])
    assert not misses_prior(exact.vae(), data, Config())
    elsewhere = dataclasses.replace(data, test=x + 2.0)
    assert misses_prior(exact.vae(), elsewhere, Config())
    assert not misses_prior(exact.vae(), elsewhere, Config(fit_prior="mixture"))
    assert misses_prior(exact.vae(), elsewhere, Config(fit_prior="none"))


def test_none_is_a_prior_that_is_not_fitted() -> None:
    config = Config(fit_prior="none")
    maps = kvae.VAE.for_data(
        np.random.default_rng(0).random((20, 32, 32, 1)).astype("float32")
    )
    assert choose_fitted_prior(maps, config, 20) == config
    assert not fits_prior(config)
    assert fits_prior(choose_fitted_prior(maps, Config(), 20))
