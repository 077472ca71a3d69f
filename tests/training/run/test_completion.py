"""Runs that complete, from recipe to picture."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from kvae import masks
from kvae.core.errors import UserError
from kvae.training import Run, load_recipe, open_run, train
from kvae.training.run.completion import read_images, read_mask
from kvae.training.run.measure import measure_test
from kvae_cli import main

pytestmark = pytest.mark.slow

QUICK = ["epochs=2", "encoder.filters=[8]", "encoder.units=[16]", "validation=100"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = load_recipe("digits_half", settings=QUICK)
    return train(config, tmp_path_factory.mktemp("runs") / "half")


@pytest.fixture(scope="module")
def image(run: Run, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("images") / "digit.png"
    pixels = (run.data.test[0, ..., 0] * 255).round().astype("uint8")
    Image.fromarray(pixels).save(path)
    return path


def test_the_numbers_are_those_of_the_hidden_half(run: Run) -> None:
    mask = masks.Half("left").draw(len(run.data.test), (8, 8, 1)).numpy()
    values = run.vae.elbo(masks.given_visible(run.data.test, mask), seed=0)
    row = run.metrics["test"]["elbo"]
    assert row["value"] == pytest.approx(values.astype("float64").mean(), rel=1e-5)
    assert "closed form" in row["estimator"]
    bits = run.metrics["test"]["bits_per_dim"]["value"]
    assert bits == pytest.approx(-row["value"] / (32 * np.log(2)), rel=1e-6)


def test_it_opens_again_and_measures_the_same(run: Run) -> None:
    again = open_run(run.directory.path)
    test = measure_test(again.vae, again.data, again.config)
    assert test["elbo"]["value"] == run.metrics["test"]["elbo"]["value"]


def test_the_picture_shows_each_row_with_its_answers(run: Run) -> None:
    with Image.open(run.directory.path / "completions.png") as picture:
        # Sixteen rows of what is visible, eight answers, and the truth.
        assert picture.height / picture.width == pytest.approx(16 / 10, rel=0.03)


def test_the_command_completes_an_image(
    run: Run, image: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    out = tmp_path / "completed.npy"
    line = ["complete", str(run.directory.path), str(image), str(image), "--num", "3"]
    assert main.main([*line, "--mask", "left-half", "--out", str(out)]) == 0
    completed = np.load(out)
    assert completed.shape == (2, 3, 8, 8, 1)
    x = read_images([image], (8, 8, 1))
    np.testing.assert_array_equal(completed[0, :, :, 4:], np.repeat(x, 3, 0)[:, :, 4:])
    picture = tmp_path / "completed.png"
    assert main.main([*line, "--out", str(picture)]) == 0
    assert picture.stat().st_size > 0


def test_a_mask_may_be_an_image(tmp_path: pathlib.Path) -> None:
    visible = np.zeros((8, 8), "uint8")
    visible[2:] = 255
    Image.fromarray(visible).save(tmp_path / "mask.png")
    mask = read_mask(str(tmp_path / "mask.png"), 2, (8, 8, 1))
    np.testing.assert_array_equal(mask[1, ..., 0], visible == 255)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["IMAGE", "--mask", "lefthalf"], "one of left_half"),
        (["nothing.png"], "there is no image nothing.png"),
        (["IMAGE", "--out", "x.jpg"], "--out takes a .png or .npy file"),
        (["WIDE"], "images of 8x8 pixels .* has 8x9"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    run: Run, image: pathlib.Path, tmp_path: pathlib.Path, words, message, capsys
) -> None:
    wide = tmp_path / "wide.png"
    Image.fromarray(np.zeros((8, 9), "uint8")).save(wide)
    given = [{"IMAGE": str(image), "WIDE": str(wide)}.get(w, w) for w in words]
    assert main.main(["complete", str(run.directory.path), *given]) == 2
    error = capsys.readouterr().err
    import re

    assert re.search(message, error)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["network=mlp"], "leave out network"),
        (["mask=random"], "leave out mask"),
        (["encoder.name=mlp"], "only filters and units"),
        (["complete=lefthalf"], "one of left_half"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(settings, message, tmp_path) -> None:
    config = load_recipe("digits_half", settings=[*QUICK, *settings])
    with pytest.raises(UserError, match=message):
        train(config, tmp_path / "run")


def test_a_mask_makes_the_objective_masked(tmp_path: pathlib.Path) -> None:
    from kvae.training.run.build_model import build_model

    config = load_recipe("digits", settings=["mask={name='random', rate=0.3}"])
    model = build_model(config, np.random.default_rng(0).random((9, 8, 8, 1)))
    assert model.objective.get_config()["masks"]["config"]["rate"] == 0.3
