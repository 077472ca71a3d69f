"""Folders of images, good and bad."""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kvae.core.errors import UserError
from kvae.training.config.config import Config
from kvae.training.config.picture_size import size_of
from kvae.training.data.sources import load_data, read_image_folder
from kvae.training.data.sources.picture import PictureOptions, read_picture
from kvae.training.run.completion import read_images

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


def test_one_color_image_makes_all_rgb(tmp_path: pathlib.Path) -> None:
    gray = write(tmp_path / "a.png", (4, 4))
    write(tmp_path / "b.png", (4, 4, 3))
    train = read_image_folder(tmp_path).train
    assert train.shape == (2, 4, 4, 3)
    np.testing.assert_array_equal(train[0], np.repeat(gray[..., None], 3, -1))


def test_sizes_that_differ_name_the_way_out(tmp_path: pathlib.Path) -> None:
    """Halves of 0 and 200: cropped to a square both stay, in equal parts."""
    write(tmp_path / "a.png", (4, 4))
    sides = np.repeat(np.array([[9, 0, 0, 200, 200, 99]], np.uint8), 4, axis=0)
    Image.fromarray(sides).save(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"4x4 \(1\), 4x6 \(1\)\. .*--size 64x64"):
        read_image_folder(tmp_path)
    cropped = read_image_folder(tmp_path, PictureOptions((4, 4)))
    np.testing.assert_array_equal(cropped.train[1, 0, :, 0], [0, 0, 200, 200])
    assert cropped.notes == (
        "2 gray images of 4x4 pixels (height x width): 1 scaled to this size, "
        "cropped by up to 33 %.",
    )
    stretched = read_image_folder(tmp_path, PictureOptions((4, 3), "stretch"))
    assert stretched.train.shape == (2, 4, 3, 1)
    assert "proportions changed by up to 100 %" in stretched.notes[0]  # 4:6, 4:3


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "deep.png"])
def test_pictures_are_upright(tmp_path: pathlib.Path, turn: int, kind: str) -> None:
    """Exif 2.32, table 6: where row 0 and column 0 of the file are to be seen."""
    upright = np.kron(np.array([[255, 0, 0], [128, 0, 60]], np.uint8), np.ones((8, 8)))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[turn]
    dtype = "uint16" if kind == "deep.png" else "uint8"
    exif = Image.Exif()
    exif[0x0112] = turn
    path = tmp_path / f"a.{kind}"
    Image.fromarray(stored.astype(dtype)).save(path, exif=exif)
    read = read_picture(path).pixels
    assert read.dtype == dtype
    np.testing.assert_allclose(read[..., 0], upright, atol=8 if kind == "jpg" else 0)


def test_transparent_pixels_are_white_and_this_is_said(tmp_path: pathlib.Path) -> None:
    """A color c with alpha a over white is a c + (1 - a) 255."""
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0] = (10, 200, 30, 51)  # a fifth
    pixels[1] = (10, 200, 30, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    pixels[..., 3] = 255  # a channel that hides nothing is not worth a word
    Image.fromarray(pixels).save(tmp_path / "b.png")
    write(tmp_path / "c.png", (2, 2))
    raw = read_image_folder(tmp_path)
    np.testing.assert_allclose(raw.train[0, 0, 0], [206, 244, 210], atol=1)
    np.testing.assert_array_equal(raw.train[0, 1, 0], [10, 200, 30])
    assert raw.notes == (
        "3 color images of 2x2 pixels (height x width): 1 gray, repeated in each "
        "channel; 1 with transparent pixels, on a white background.",
    )


def test_only_the_first_frame_is_read_and_this_is_said(tmp_path: pathlib.Path) -> None:
    frames = [Image.fromarray(np.full((3, 3), value, np.uint8)) for value in (7, 90)]
    frames[0].save(tmp_path / "a.tiff", save_all=True, append_images=frames[1:])
    write(tmp_path / "b.png", (3, 3))
    raw = read_image_folder(tmp_path)
    assert (raw.train[0] == 7).all()
    assert "1 with several frames, the first read" in raw.notes[0]


def test_other_files_are_counted_and_hidden_ones_are_not(
    tmp_path: pathlib.Path,
) -> None:
    write(tmp_path / "a.png", (3, 3))
    (tmp_path / "._a.png").write_bytes(b"a resource fork")
    (tmp_path / "b.heic").write_bytes(b"a photograph")
    write(tmp_path / ".thumbnails" / "a.png", (1, 1))
    assert read_image_folder(tmp_path).notes[1:] == (
        "files of other kinds ignored: 1 (.heic).",
    )


def test_a_folder_that_cannot_be_entered_ends_the_reading(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "cat" / "a.png", (3, 3))
    write(tmp_path / "dog" / "a.png", (3, 3))
    plain = os.scandir

    def scandir(path: str) -> object:  # tests may run as root, which may enter all
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UserError, match="dog cannot be read: Permission denied"):
        read_image_folder(tmp_path)


def test_linked_folders_are_read_once(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "elsewhere" / "a.png", (3, 3))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "data")
    raw = read_image_folder(tmp_path / "data")
    assert raw.files["train"].tolist() == ["cat/a.png"]


def test_a_damaged_image_is_named(tmp_path: pathlib.Path) -> None:
    write(tmp_path / "a.png", (40, 40))
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"b\.png cannot be read as an image"):
        read_image_folder(tmp_path)


def test_an_empty_folder_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="holds no images"):
        load_data(str(tmp_path))


def test_16_bits_are_kept(tmp_path: pathlib.Path) -> None:
    """Gray and color, also where 8 bits would make all levels one."""
    gray = (20_000 + np.arange(64, dtype=np.uint16)).reshape(8, 8)
    Image.fromarray(gray).save(tmp_path / "a.png")
    Image.fromarray(gray).save(tmp_path / "b.tiff")
    color = np.stack([gray, gray + 64, gray + 128], axis=-1)
    (tmp_path / "c.png").write_bytes(tf.io.encode_png(color).numpy())
    write(tmp_path / "d.png", (8, 8))[:] = 0
    raw = read_image_folder(tmp_path)
    assert raw.train.dtype == np.uint16
    for image in raw.train[:2]:
        np.testing.assert_array_equal(image, np.repeat(gray[..., None], 3, -1))
    np.testing.assert_array_equal(raw.train[2], color)
    eight = read_picture(tmp_path / "d.png").pixels
    np.testing.assert_array_equal(raw.train[3, ..., :1], 257 * eight.astype("uint16"))
    assert "3 with 16 bits per channel" in raw.notes[0]
    x = read_images([tmp_path / "a.png"], (8, 8))
    np.testing.assert_allclose(x[0], gray / 65535, rtol=1e-6)
    small = read_image_folder(tmp_path, PictureOptions((4, 4))).train
    means = color.astype(float).reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(small[2, 1:-1, 1:-1], means[1:-1, 1:-1], atol=1)


def test_a_folder_of_16_bits_trains_on_what_its_pixels_reach(
    tmp_path: pathlib.Path,
) -> None:
    for i in range(10):
        pixels = RNG.integers(0, 4001, (4, 4)).astype("uint16")
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    data = load_data(str(tmp_path))
    assert data.divisor == 4095  # 12 bits
    assert 0.8 < data.train.max() <= 1


def test_what_is_read_with_less_depth_than_it_has_is_refused(
    tmp_path: pathlib.Path,
) -> None:
    ramp = np.linspace(0, 1, 64, dtype="float32").reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "b.tiff")
    with pytest.raises(UserError, match="b.tiff has 32 bits per channel .mode F"):
        read_image_folder(tmp_path)


def test_damaged_files_are_skipped_when_told(tmp_path: pathlib.Path) -> None:
    wanted = [write(tmp_path / f"{i}.png", (3, 3)) for i in range(9)]
    for i in (2, 5):
        (tmp_path / f"{i}.png").write_bytes(b"nothing")
    with pytest.raises(
        UserError, match="2.png cannot .* 1 more of 9 files.*--skip-unr"
    ):
        read_image_folder(tmp_path)
    raw = read_image_folder(tmp_path, PictureOptions(skip_unreadable=True))
    np.testing.assert_array_equal(raw.train[..., 0], np.delete(wanted, (2, 5), axis=0))
    assert raw.notes[1] == "skipped as unreadable (2): 2.png, 5.png."
    assert raw.files["train"].tolist() == [f"{i}.png" for i in (0, 1, 3, 4, 6, 7, 8)]


def test_files_stay_with_their_examples(tmp_path: pathlib.Path) -> None:
    for i in range(20):
        pixels = np.full((2, 2), i, np.uint8)
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "ab"[i % 2] / f"{i:02d}.png")
    data = load_data(str(tmp_path), validation=4)
    for part in ("train", "validation", "test"):
        named = [int(file[2:4]) for file in data.files[part]]
        np.testing.assert_allclose(getattr(data, part)[:, 0, 0, 0] * 255, named)
    assert [len(data.files[p]) for p in ("train", "validation", "test")] == [12, 4, 4]


@pytest.mark.parametrize(
    ("value", "size"),
    [(64, (64, 64)), ("64", (64, 64)), ("48X64", (48, 64)), ([48, 64], (48, 64))],
)
def test_sizes_are_height_and_width(value: object, size: tuple[int, int]) -> None:
    assert size_of(value) == size


@pytest.mark.parametrize("value", [0, "64x", "axb", [1, 2, 3], "1x-2", 2.5, []])
def test_other_sizes_are_refused(value: object) -> None:
    with pytest.raises(UserError, match="height and a width in pixels, such as 64x48"):
        size_of(value)


def test_images_are_scaled_if_those_of_the_run_are(tmp_path: pathlib.Path) -> None:
    """The middle square, black on the left and 200 on the right, at half the size."""
    pixels = np.zeros((16, 24), "uint8")
    pixels[:, 12:] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    scaled = Config(image_size="8x8")
    x = read_images([tmp_path / "wide.png"], (8, 8, 1), config=scaled)
    assert x.shape == (1, 8, 8, 1)
    np.testing.assert_allclose(x[0, :, :2], 0)
    np.testing.assert_allclose(x[0, :, -2:], 200 / 255, rtol=1e-6)
    with pytest.raises(UserError, match="images of 8x8 pixels .* has 16x24"):
        read_images([tmp_path / "wide.png"], (8, 8, 1), config=Config())
