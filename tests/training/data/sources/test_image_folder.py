"""Folders of images, good and bad."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from kvae.core.errors import UserError
from kvae.training.data.sources import load_data, read_image_folder
from kvae.training.run.completion_runs import read_images

RNG = np.random.default_rng(0)


def write(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_images_come_in_the_order_of_their_names(tmp_path: pathlib.Path) -> None:
    wanted = [write(tmp_path / f"{i:02d}.png", (5, 7)) for i in range(6)]
    raw = read_image_folder(tmp_path)
    np.testing.assert_array_equal(raw.train[..., 0], wanted)
    assert raw.label_names is None


def test_folders_are_labels_and_parts(tmp_path: pathlib.Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        for label in ("cat", "dog"):
            for i in range(count):
                write(tmp_path / part / label / f"{i}.png", (4, 4, 3))
    data = load_data(str(tmp_path))
    assert data.train.shape == (8, 4, 4, 3)
    assert data.test.shape == (4, 4, 4, 3)
    assert data.label_names == ("cat", "dog")
    assert data.test_labels is not None
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    assert data.train.max() <= 1.0


def test_one_colour_image_makes_all_rgb(tmp_path: pathlib.Path) -> None:
    grey = write(tmp_path / "a.png", (4, 4))
    write(tmp_path / "b.png", (4, 4, 3))
    train = read_image_folder(tmp_path).train
    assert train.shape == (2, 4, 4, 3)
    np.testing.assert_array_equal(train[0], np.repeat(grey[..., None], 3, -1))


def test_sizes_that_differ_name_the_way_out(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.png", (4, 4))
    write(tmp_path / "b.png", (4, 6))
    with pytest.raises(UserError, match=r"b\.png is 6x4 pixels; scale them all with"):
        read_image_folder(tmp_path)
    assert read_image_folder(tmp_path, image_size=3).train.shape == (2, 3, 3, 1)


def test_a_damaged_image_is_named(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.png", (40, 40))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"b\.png cannot be read as an image"):
        read_image_folder(tmp_path)


def test_an_empty_folder_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="holds no images"):
        load_data(str(tmp_path))


def test_more_than_8_bits_are_refused_and_not_cut_off(tmp_path: pathlib.Path) -> None:
    ramp = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png holds grey levels of 16 bits or more"):
        read_image_folder(tmp_path)
    with pytest.raises(UserError, match="16 bits or more"):
        read_images([tmp_path / "a.png"], (8, 8))
    (tmp_path / "a.png").unlink()
    Image.fromarray(ramp.astype("float32")).save(tmp_path / "b.tiff")
    with pytest.raises(UserError, match="mode F"):
        read_image_folder(tmp_path)
