"""Pictures that are drawn while a model trains."""

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import kvae
from kvae.core.errors import UserError
from kvae.training import TrainingPictures, load_recipe, train

QUICK = ["epochs=3", "encoder.units=[8]", "decoder.units=[8]", "fit_prior="]


def tiny(callbacks: list[Any]) -> Any:
    """Trains a model of 40 images for three epochs of five steps."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).random((40, 4, 4)).astype("float32")
    vae = kvae.VAE.for_data(x, latent_dim=3)
    vae.compile("adam")
    vae.fit(x, epochs=3, batch_size=8, verbose=0, callbacks=callbacks)
    return vae


def test_they_come_as_often_as_asked_and_show_what_the_model_draws(
    tmp_path: pathlib.Path,
) -> None:
    """The last ones are those of the finished model, pixel for pixel."""
    x = np.zeros((3, 4, 4), "float32")
    vae = tiny([TrainingPictures(tmp_path / "a", x, "1 epoch", seed=2)])
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        f"{kind}-epoch-{epoch:03d}.png"
        for kind in ("reconstructions", "samples")
        for epoch in (1, 2, 3)
    ]
    with Image.open(tmp_path / "a/samples-epoch-003.png") as picture:
        pixels = np.asarray(picture.convert("L")) / 255
    zoom = len(pixels) // (8 * 5 + 1)
    first = pixels[zoom : 5 * zoom : zoom, zoom : 5 * zoom : zoom]
    expected = np.clip(vae.sample(64, seed=2)[0], 0, 1)
    np.testing.assert_allclose(first, expected, atol=1 / 255)


def test_steps_are_counted_within_epochs(tmp_path: pathlib.Path) -> None:
    """15 steps, and a picture at every sixth: in the second epoch and in the third."""
    pictures = TrainingPictures(tmp_path, np.zeros((3, 4, 4), "float32"), "6 steps")
    tiny([pictures])
    names = sorted(path.stem for path in tmp_path.glob("samples-*"))
    assert names == ["samples-epoch-002", "samples-epoch-003"]


def test_tensorboard_gets_them_too(tmp_path: pathlib.Path) -> None:
    x = np.zeros((3, 4, 4), "float32")
    log = tmp_path / "log"
    tiny([TrainingPictures(tmp_path / "a", x, "2 epochs", log_dir=log)])
    (events,) = (log / "train").iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(events)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found[value.tag, event.step] = value.tensor.string_val[2]
    assert set(found) == {("samples", 1), ("reconstructions", 1)}
    shown = tf.io.decode_png(found["samples", 1], channels=3)
    file = (tmp_path / "a/samples-epoch-002.png").read_bytes()
    np.testing.assert_array_equal(shown, tf.io.decode_png(file, channels=3))


@pytest.mark.slow
def test_a_run_draws_them_and_its_numbers_do_not_change(tmp_path: pathlib.Path) -> None:
    runs = [
        train(load_recipe("digits", settings=[*QUICK, f"pictures={every}"]), path)
        for every, path in (("epoch", tmp_path / "a"), ("never", tmp_path / "b"))
    ]
    assert len(list(runs[0].directory.pictures.glob("samples-*"))) == 3
    assert not runs[1].directory.pictures.exists()
    assert runs[0].metrics["test"] == runs[1].metrics["test"]


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UserError, match=r"expects images.*received \(3, 7\)"):
        TrainingPictures("a", np.zeros((3, 7)))
    with pytest.raises(UserError, match="an interval is"):
        TrainingPictures("a", np.zeros((3, 4, 4)), "often")
