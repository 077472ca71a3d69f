"""Data sets of TFDS: what is said when there is none, and a real one made here."""

import pathlib
import socket

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from kvae.core.errors import UserError
from kvae.training.data.sources import load_data, read_tfds
from kvae.training.data.sources import tfds_images as module
from kvae.training.data.sources.picture import PictureOptions, read_picture


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no data set 'mnst'\. Did you mean .*mnist"):
        load_data("mnst")


def test_without_a_network_it_says_what_to_do(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(UserError, match="there is no network.*--data-dir DIR"):
        read_tfds("mnist", str(tmp_path))


def test_a_missing_data_dir_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="there is no folder .*check --data-dir"):
        read_tfds("mnist", str(tmp_path / "none"))


def test_a_data_set_without_images_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="but no image; choose"):
        read_tfds("imdb_reviews", str(tmp_path))


class TinyShapes(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """Six images with labels."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(4, 4, 1)),
                "label": tfds.features.ClassLabel(names=["even", "odd"]),
            }
        )
        return self.dataset_info_from_configs(features=features)

    def _split_generators(self, dl_manager: object) -> dict[str, object]:
        return {"train": self._generate_examples(4), "test": self._generate_examples(2)}

    def _generate_examples(self, count: int):  # type: ignore[no-untyped-def]
        for i in range(count):
            image = np.full((4, 4, 1), 10 * i, np.uint8)
            yield i, {"image": image, "label": i % 2}


def test_a_prepared_data_set_is_read(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = TinyShapes(data_dir=str(tmp_path))
    builder.download_and_prepare()
    raw = read_tfds("tiny_shapes", str(tmp_path))
    assert raw.train.shape == (4, 4, 4, 1)
    assert raw.test is not None
    assert len(raw.test) == 2
    np.testing.assert_array_equal(raw.train[:, 0, 0, 0] // 10 % 2, raw.labels["train"])
    assert raw.label_names == ("even", "odd")
    monkeypatch.setattr(module.os, "sysconf", lambda name: 8)
    with pytest.raises(UserError, match="tiny_shapes needs .* GiB in memory"):
        read_tfds("tiny_shapes", str(tmp_path))


@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("size", [(20, 20), (12, 30), (100, 90)])
def test_images_are_scaled_as_those_of_files(
    tmp_path: pathlib.Path, resize: str, size: tuple[int, int]
) -> None:
    """Independent form: Pillow's bicubic, which crops in fractions of a pixel."""
    steps = np.linspace(0, 255, 60 * 80).reshape(60, 80)
    pixels = np.stack([steps, steps[::-1], steps[:, ::-1]], -1).astype("uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    options = PictureOptions(size, resize)
    expected = read_picture(tmp_path / "a.png", options).pixels
    scaled = module._scaled(tf.constant(pixels), options).numpy()
    assert scaled.shape == (*size, 3)
    assert scaled.dtype == np.uint8
    np.testing.assert_allclose(scaled.astype(int), expected.astype(int), atol=6)


def test_a_size_reaches_the_images_of_tfds(tmp_path: pathlib.Path) -> None:
    TinyShapes(data_dir=str(tmp_path)).download_and_prepare()
    data = load_data("tiny_shapes", str(tmp_path), image_size="2x3")
    assert data.shape == (2, 3, 1)
    assert data.test.shape == (2, 2, 3, 1)
