"""Pictures that are drawn while a model trains."""

import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.quick_runs import QUICK

import kvae
from kvae.core.errors import UserError
from kvae.training import Run, TrainingPictures, load_recipe, train


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, pathlib.Path]:
    """A model of 40 images after three epochs of five steps, and where its pictures are."""
    folder = tmp_path_factory.mktemp("pictures")
    shown = np.zeros((3, 4, 4), "float32")
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).random((40, 4, 4)).astype("float32")
    vae = kvae.VAE.for_data(x, latent_dim=3)
    vae.compile("adam")
    callbacks = [
        TrainingPictures(folder / "a", shown, "1 epoch", seed=2),
        TrainingPictures(folder / "b", shown, "6 steps"),
        TrainingPictures(folder / "c", shown, "2 epochs", log_dir=folder / "log"),
    ]
    vae.fit(x, epochs=3, batch_size=8, verbose=0, callbacks=callbacks)
    return vae, folder


def test_they_come_as_often_as_asked_and_show_what_the_model_draws(
    tiny: tuple[Any, pathlib.Path],
) -> None:
    """The last ones are those of the finished model, pixel for pixel."""
    vae, folder = tiny
    names = sorted(path.name for path in (folder / "a").iterdir())
    assert names == [
        f"{kind}-epoch-{epoch:03d}.png"
        for kind in ("reconstructions", "samples")
        for epoch in (1, 2, 3)
    ]
    with Image.open(folder / "a/samples-epoch-003.png") as picture:
        pixels = np.asarray(picture.convert("L")) / 255
    zoom = len(pixels) // (8 * 5 + 1)
    first = pixels[zoom : 5 * zoom : zoom, zoom : 5 * zoom : zoom]
    expected = np.clip(vae.sample(64, seed=2)[0], 0, 1)
    np.testing.assert_allclose(first, expected, atol=1 / 255)


def test_steps_are_counted_within_epochs(tiny: tuple[Any, pathlib.Path]) -> None:
    """15 steps, and a picture at every sixth: in the second epoch and in the third."""
    names = sorted(path.stem for path in (tiny[1] / "b").glob("samples-*"))
    assert names == ["samples-epoch-002", "samples-epoch-003"]


def test_tensorboard_gets_them_too(tiny: tuple[Any, pathlib.Path]) -> None:
    folder = tiny[1]
    (events,) = (folder / "log/train").iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(events)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found[value.tag, event.step] = value.tensor.string_val[2]
    assert set(found) == {("samples", 1), ("reconstructions", 1)}
    shown = tf.io.decode_png(found["samples", 1], channels=3)
    file = (folder / "c/samples-epoch-002.png").read_bytes()
    np.testing.assert_array_equal(shown, tf.io.decode_png(file, channels=3))


@pytest.mark.slow
def test_a_run_draws_them_and_its_numbers_do_not_change(
    trained: Callable[..., Run], tmp_path: pathlib.Path
) -> None:
    run = train(
        load_recipe("digits", settings=[*QUICK, "pictures=epoch"]), tmp_path / "a"
    )
    assert len(list(run.directory.pictures.glob("samples-*"))) == 1
    assert not trained().directory.pictures.exists()
    assert run.metrics["test"] == trained().metrics["test"]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UserError, match=r"expects images.*received \(3, 7\)"):
        TrainingPictures("a", np.zeros((3, 7)))
    with pytest.raises(UserError, match="an interval is"):
        TrainingPictures("a", np.zeros((3, 4, 4)), "often")
