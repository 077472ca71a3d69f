"""One image file: upright, without transparency, with 8 or 16 bits per channel."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.errors import UserError
from kvae.core.extras import require

_REASON = "reading image files"


class Unreadable(UserError):
    """The file holds no readable image."""


@dataclasses.dataclass(frozen=True)
class PictureOptions:
    """How image files become arrays of one shape.

    Attributes:
        size: (H, W) in pixels to which each image is scaled; None keeps its own.
        resize: "crop" keeps the proportions and crops what is too long, evenly on both
            sides; "stretch" keeps the whole image and changes its proportions.
        channels: 1 or 3; None means 1 if all images are gray, else 3.
        skip_unreadable: whether to skip files that are not readable images.
    """

    size: tuple[int, int] | None = None
    resize: str = "crop"
    channels: int | None = None
    skip_unreadable: bool = False


AS_THEY_ARE = PictureOptions()


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image.

    Attributes:
        pixels: (H, W, C), uint8 or uint16, of 1 channel if the file is gray, else 3.
        size: (H, W) of the file, before scaling.
        transparent: whether some pixels show the white background.
        frames: how many the file holds; the first is the image.
    """

    pixels: np.ndarray
    size: tuple[int, int]
    transparent: bool
    frames: int


def read_picture(path: pathlib.Path, options: PictureOptions = AS_THEY_ARE) -> Picture:
    """Reads an image file.

    The image is rotated according to its EXIF orientation, transparent pixels are put
    on a white background, and of several frames the first is read.

    Args:
        path: of the file.
        options: whether and how to scale it; the other options are for folders.

    Raises:
        Unreadable: if the file is damaged or has more than 16 bits per channel.
        UserError: if the system refuses to open it.
        MissingExtra: if Pillow is not installed.
    """
    image, ops = require("PIL.Image", _REASON), require("PIL.ImageOps", _REASON)
    try:
        with image.open(path) as opened:
            frames = getattr(opened, "n_frames", 1)
            if _has_16_bits(opened):
                layers, transparent = _layers_of_16_bits(image, opened, path)
            else:
                layers, transparent = _layer_of_8_bits(image, opened, path)
            # A copy of the pixels doesn't have the orientation of its file.
            turn = opened.getexif().get(0x0112, 1)
    except (
        SyntaxError,
        ValueError,
        OSError,
        image.DecompressionBombError,
        tf.errors.OpError,
    ) as error:
        if isinstance(error, UserError):
            raise
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(
                f"{path} cannot be opened: {error.strerror}. Check the file and its "
                "permissions."
            ) from error
        raise Unreadable(f"{path} cannot be read as an image ({error}).") from error
    for layer in layers:
        layer.getexif()[0x0112] = turn
    layers = [ops.exif_transpose(layer) for layer in layers]
    width, height = layers[0].size
    if options.size is not None and options.size != (height, width):
        wanted = options.size[::-1]
        layers = [
            ops.fit(layer, wanted)
            if options.resize == "crop"
            else layer.resize(wanted, image.Resampling.BICUBIC)
            for layer in layers
        ]
    arrays = [np.asarray(layer) for layer in layers]
    pixels = np.dstack(arrays)
    if pixels.dtype != np.uint8:
        pixels = np.clip(np.rint(pixels), 0, 65535).astype("uint16")
    return Picture(pixels, (height, width), transparent, frames)


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Repeats a gray channel, or takes the luma of three (ITU-R 601, as Pillow does)."""
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=-1)
    weights = np.array([19595, 38470, 7471], np.uint32)
    luma = (pixels.astype("uint32") @ weights + 0x8000) >> 16
    return luma[..., None].astype(pixels.dtype)


def with_16_bits(pixels: np.ndarray) -> np.ndarray:
    """Spreads 8 bits over the range of 16: 255 becomes 65535."""
    if pixels.dtype == np.uint16:
        return pixels
    return pixels.astype("uint16") * np.uint16(257)


def _has_16_bits(opened: Any) -> bool:
    """Returns whether the file has 16 bits per channel, of which Pillow may keep 8."""
    raw = opened.tile[0][3] if opened.tile else ""
    raw = raw if isinstance(raw, str) else str((raw or ("",))[0])
    return ";16" in raw or opened.mode.startswith("I;16")


def _layer_of_8_bits(
    image: Any, opened: Any, path: pathlib.Path
) -> tuple[list[Any], bool]:
    if opened.mode in ("I", "F"):
        raise Unreadable(
            f"{path} has 32 bits per channel (mode {opened.mode}), but image files are "
            "read with 8 or 16. Save it with 16 bits, or all images as one .npy array."
        )
    mode = "L" if opened.mode in ("1", "L", "LA") else "RGB"
    if opened.has_transparency_data:
        colors = opened.convert("RGBA")
        if colors.getextrema()[3][0] < 255:
            white = image.new("RGBA", colors.size, "white")
            return [image.alpha_composite(white, colors).convert(mode)], True
    return [opened.convert(mode)], False


def _layers_of_16_bits(
    image: Any, opened: Any, path: pathlib.Path
) -> tuple[list[Any], bool]:
    if opened.format == "PNG":
        pixels = tf.io.decode_png(path.read_bytes(), dtype=tf.uint16).numpy()
    elif opened.mode.startswith("I;16"):
        pixels = np.asarray(opened)[..., None]
    else:
        raise Unreadable(
            f"{path} is a {opened.format} image with 16 bits per channel, which can "
            "only be read if it is gray. Save it as PNG, or all images as one .npy "
            "array."
        )
    values = pixels.astype("float32")
    transparent = False
    if values.shape[-1] in (2, 4):
        alpha = values[..., -1:] / 65535
        transparent = bool(alpha.min() < 1)
        values = values[..., :-1] * alpha + 65535 * (1 - alpha)
    return [image.fromarray(layer) for layer in np.moveaxis(values, -1, 0)], transparent
