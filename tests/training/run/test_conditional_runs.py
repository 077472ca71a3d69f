"""Runs whose model is given the label, from recipe to picture."""

import itertools
import json
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from support.quick_runs import CONDITIONAL

from kvae.core.errors import UserError
from kvae.training import Run, load_recipe, open_run, train
from kvae.training.data.pipeline import training_batches
from kvae_cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(trained: Callable[..., Run]) -> Run:
    return trained(*CONDITIONAL, recipe="digits_conditional")


def test_each_example_travels_with_its_own_label() -> None:
    x = np.arange(10, dtype="float32")[:, None]
    dataset = training_batches(x, 4, seed=0, condition=np.arange(10) * 3)
    for batch in itertools.islice(dataset, 6):
        np.testing.assert_array_equal(batch["condition"], 3 * batch["x"][:, 0])


def test_the_run_is_that_of_the_recipe(run: Run) -> None:
    assert run.vae.condition.classes == tuple(range(10))
    assert run.vae.corruption.rate == 0.05
    assert type(run.vae.prior).__name__ == "ConditionalNormal"
    facts = json.loads((run.directory.path / "run.json").read_text())
    assert facts["data"]["label_names"] == list("0123456789")
    test = {"x": run.data.test, "condition": run.data.test_labels}
    values = run.vae.elbo(test, seed=0).astype("float64")
    recorded = run.metrics["test"]["elbo"]["value"]
    assert recorded == pytest.approx(values.mean(), rel=1e-6)


def test_the_picture_has_a_row_for_each_class(run: Run) -> None:
    assert run.vae.sample(8, seed=0, condition=3).shape == (8, 8, 8, 1)
    with Image.open(run.directory.path / "samples.png") as image:
        # Tiles are alike in width and height: ten rows of eight.
        assert image.height / image.width == pytest.approx(10 / 8, rel=0.03)


def test_it_opens_again_with_its_labels(run: Run) -> None:
    again = open_run(run.directory.path)
    test = again.data.inputs("test", again.config.condition)
    np.testing.assert_array_equal(
        again.vae.elbo(test), run.vae.elbo(run.data.inputs("test", "label"))
    )


def test_samples_by_label(run: Run, tmp_path: pathlib.Path) -> None:
    for given in ("7", " 7", "7,7,7,7"):
        out = tmp_path / f"{len(given)}.npy"
        words = ["sample", run.directory.path, "--num", 4, "--out", out]
        assert main.main([*map(str, words), "--condition", given, "-q"]) == 0
        expected = run.vae.sample(4, seed=0, condition=7)
        np.testing.assert_allclose(np.load(out), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (
            [],
            "conditioned on the labels 0 .. 9; say what to draw, for example --condition",
        ),
        (["--condition", "10"], "the label 10, which this model has not seen"),
        (["--condition", "1,2"], "each of the num=4 samples, or one row for all"),
        (["--condition", "1.5"], "must hold integers"),
        (["--condition", "seven"], "received 'seven'. Choose from 0, 1"),
    ],
)
def test_a_wrong_label_is_one_sentence(
    run: Run,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    condition: list[str],
    message: str,
) -> None:
    out = tmp_path / "x.png"
    words = ["sample", run.directory.path, "--num", 4, "--out", out, *condition]
    assert main.main(list(map(str, words))) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_the_command_does_not_complete_with_labels(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["complete", str(run.directory.path), "x.png", "--mask", "left-half"]
    assert main.main(words) == 2
    assert (
        "labels 0 .. 9, which kvae complete doesn't support" in capsys.readouterr().err
    )


def test_data_without_labels_are_refused(tmp_path: pathlib.Path) -> None:
    x = np.random.default_rng(0).random((30, 4)).astype("float32")
    np.savez(tmp_path / "x.npz", train=x)
    changes = {"data": str(tmp_path / "x.npz"), "condition": "label", "epochs": 1}
    with pytest.raises(UserError, match="x.npz has no labels for its train examples"):
        train(load_recipe(changes=changes), tmp_path / "out")
    np.savez(tmp_path / "x.npz", train=x, labels=np.arange(60).reshape(30, 2))
    with pytest.raises(UserError, match="one integer per example; x.npz has train"):
        train(load_recipe(changes=changes), tmp_path / "out2")
    np.savez(
        tmp_path / "x.npz",
        train=x,
        labels=np.arange(30) % 3,
        test=x,
        test_labels=np.arange(30) % 4,
    )
    with pytest.raises(UserError, match="the label 3, which this model has not seen"):
        train(load_recipe(changes=changes), tmp_path / "out3")


def test_a_learned_prior_needs_the_condition() -> None:
    with pytest.raises(UserError, match=r"learns p\(z\|c\), but condition is not set"):
        load_recipe("digits", settings=["conditional_prior=true"])
    with pytest.raises(UserError, match='condition must be "label"'):
        load_recipe("digits", {"condition": "color"})
