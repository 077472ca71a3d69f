"""The rows that interpolate and attribute draw are those of the library."""

import keras
import matplotlib.image
import numpy as np
import pytest
from PIL import Image
from support.quick_runs import copied

import kvae
import kvae_cli.main
from kvae.training import load_data
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import load_run_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "digits"
    copied(trained(), path)
    return path, keras.saving.load_model(path / "model.keras")


def call(*words):
    return kvae_cli.main.main([*map(str, words)])


def test_pairs_of_test_examples_are_joined(run, tmp_path):
    path, vae = run
    assert call("interpolate", path, "--num", 4, "--out", tmp_path / "w.npy") == 0
    test = load_data("digits").test[:12]
    rows = kvae.interpolate(vae, test[:6], test[6:], 4)
    np.testing.assert_allclose(np.load(tmp_path / "w.npy"), rows, atol=1e-6)
    assert call("interpolate", path, "--arc", "--num", 4) == 0
    drawn = matplotlib.image.imread(path / "interpolated-spherical-4.png")
    assert drawn.shape[1] / drawn.shape[0] == pytest.approx(4 / 6, rel=0.1)


def test_two_images_are_joined(run, tmp_path):
    path, vae = run
    pixels = (load_data("digits").test[:2, ..., 0] * 255).astype("uint8")
    for name, image in zip("ab", pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    out = tmp_path / "w.npy"
    assert (
        call("interpolate", path, tmp_path / "a.png", tmp_path / "b.png", "--out", out)
        == 0
    )
    a, b = pixels[..., None].astype("float32") / 255
    np.testing.assert_allclose(np.load(out)[0], kvae.interpolate(vae, a, b), atol=1e-6)


def test_an_attribute_is_a_label_of_the_training_data(run, tmp_path):
    path, vae = run
    out = tmp_path / "sevens.npy"
    assert call("attribute", path, "7", "--strengths=-1,0,2.5", "--out", out) == 0
    data = load_run_data(RunDirectory.open(path).read_config())
    found = kvae.attribute_vectors(vae, data.train, data.train_labels == 7, names=["7"])
    expected = found.apply(data.test[:6], "7", [-1, 0, 2.5])
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("interpolate {run} a.png", "two images, or none for pairs"),
        ("interpolate {run} a.png b.png", "there is no image a.png"),
        ("interpolate {run} --num 1", "num must be at least 2"),
        ("attribute {run} eleven", "has no label 'eleven'"),
        ("attribute {run} 7 --strengths=1,x", "numbers separated by commas"),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, words, sentence, capsys):
    assert call(*words.format(run=run[0]).split()) == 2
    assert sentence in capsys.readouterr().err
