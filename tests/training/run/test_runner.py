"""Runs from end to end, on the bundled digits."""

import csv
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.quick_runs import DRAWN, QUICK

from kvae.core.errors import UserError
from kvae.training import Run, load_recipe, open_run, train
from kvae.training.run.measure import measure_test


def quick(*settings: str) -> Any:
    return load_recipe("digits", settings=[*QUICK, *settings])


@pytest.fixture(scope="module")
def run(trained: Callable[..., Run]) -> Run:
    return trained(*DRAWN)


def test_the_directory_holds_everything(run: Run) -> None:
    files = {path.name for path in run.directory.path.iterdir()}
    assert files == {
        "README.md",
        "config.toml",
        "run.json",
        "model.keras",
        "history.csv",
        "metrics.json",
        "samples.png",
        "reconstructions.png",
        "curves.png",
        "manifold.png",
    }
    facts = json.loads((run.directory.path / "run.json").read_text())
    assert facts["seed"] == 0
    assert {"kvae", "keras", "tensorflow", "python"} <= set(facts["versions"])
    assert facts["data"]["test"] == 359


def test_the_test_elbo_is_over_the_whole_test_set_with_its_error(run: Run) -> None:
    """Independent form: numpy over the model's own per-example values."""
    test = json.loads(run.directory.metrics_file.read_text())["test"]
    values = run.vae.elbo(run.data.test, num_samples=1, seed=0).astype("float64")
    elbo = test["elbo"]
    assert elbo["num_examples"] == 359
    assert elbo["value"] == pytest.approx(values.mean(), rel=1e-6)
    assert elbo["standard_error"] == pytest.approx(
        np.std(values, ddof=1) / np.sqrt(359), rel=1e-6
    )
    assert elbo["estimator"] == (
        "distortion: mean over 1 latent per example; rate: closed form"
    )
    total = test["rate"]["value"] + test["distortion"]["value"]
    assert elbo["value"] == pytest.approx(-total, rel=1e-6)
    bits = -elbo["value"] / (np.log(2) * 64)
    assert test["bits_per_dim"]["value"] == pytest.approx(bits, rel=1e-6)


def test_history_has_a_row_per_epoch(run: Run) -> None:
    with run.directory.history_file.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for name in ("elbo", "val_elbo", "rate", "distortion", "val_rate", "learning_rate"):
        assert np.isfinite([float(row[name]) for row in rows]).all()
    assert float(rows[1]["elbo"]) > float(rows[0]["elbo"])
    last = run.config.learning_rate * run.config.final_learning_rate
    assert float(rows[1]["learning_rate"]) == pytest.approx(last, rel=1e-3)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(run: Run, tmp_path: pathlib.Path) -> None:
    again = train(run.config, tmp_path / "again")
    assert again.metrics["test"] == run.metrics["test"]
    first, second = run.directory.history_file, again.directory.history_file
    assert first.read_text() == second.read_text()


def test_a_run_opens_as_it_was(run: Run) -> None:
    opened = open_run(run.directory.path)
    assert opened.config == run.config
    np.testing.assert_array_equal(opened.data.test, run.data.test)
    assert set(np.unique(opened.data.test)) == {0.0, 1.0}
    test = measure_test(opened.vae, opened.data, opened.config)
    assert test["elbo"]["value"] == pytest.approx(
        run.metrics["test"]["elbo"]["value"], rel=1e-6
    )


def test_reconstructions_stand_beside_their_originals(run: Run) -> None:
    picture = np.asarray(
        Image.open(run.directory.path / "reconstructions.png").convert("L")
    )
    zoom = picture.shape[1] // (8 * 9 + 1)  # 8 cells, each a line and 8 pixels
    first = picture[zoom : 9 * zoom, zoom : 9 * zoom]
    original = np.repeat(np.repeat(run.data.test[0, ..., 0], zoom, 0), zoom, 1)
    np.testing.assert_allclose(first / 255, original, atol=1 / 255)


def test_an_out_that_exists_is_refused_and_untouched(run: Run) -> None:
    before = run.directory.model_file.read_bytes()
    with pytest.raises(UserError, match="exists and holds a run; choose another --out"):
        train(run.config, run.directory.path)
    assert run.directory.model_file.read_bytes() == before


@pytest.mark.slow
def test_early_stopping_keeps_the_best(tmp_path: pathlib.Path) -> None:
    config = quick("epochs=40", "learning_rate=0.3", "early_stopping=1", "clip_norm=10")
    run = train(config, tmp_path / "a")
    with run.directory.history_file.open() as file:
        values = [float(row["val_elbo"]) for row in csv.DictReader(file)]
    assert len(values) < 40
    best = run.vae.evaluate(run.data.validation, verbose=0, return_dict=True)["elbo"]
    assert best == pytest.approx(max(values), rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["optimizer=adm"], "no optimizer 'adm'. Did you mean adam"),
        (["likelihood=bernouli"], "Did you mean Bernoulli"),
        (["binarize=dynamic", "pixel_max=8"], "draws pixels from probabilities"),
        (["likelihood=bernoulli", "pixel_max=8"], "Bernoulli expects pixels in"),
        (["network=mlp", "encoder.unts=[3]"], "no argument 'unts'. Did you mean units"),
    ],
)
def test_mistakes_are_one_sentence_before_any_graph(
    tmp_path: pathlib.Path, settings: list[str], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        train(quick(*settings), tmp_path / "a")
    assert message in str(caught.value)


@pytest.mark.slow
def test_vectors_have_curves_and_no_pictures(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 3)))
    config = load_recipe(None, {"data": str(tmp_path / "x.npy"), "epochs": 1})
    run = train(config, tmp_path / "a")
    assert (run.directory.path / "curves.png").exists()
    assert not (run.directory.path / "samples.png").exists()


def test_damaged_runs_are_named(run: Run, tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="there is no run"):
        open_run(tmp_path / "none")
    with pytest.raises(UserError, match="is not a run: it has no config.toml"):
        open_run(tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(run.directory.config_file.read_text())
    with pytest.raises(UserError, match="its training did not finish"):
        open_run(tmp_path)
    (tmp_path / "model.keras").write_bytes(b"nothing")
    with pytest.raises(UserError, match="is damaged or not a .keras file"):
        open_run(tmp_path)
    config.write_text("latent_dim = 0")
    with pytest.raises(UserError, match=r"config\.toml: latent_dim must be"):
        open_run(tmp_path)
