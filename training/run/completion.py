"""Runs of completing models: their parts, test inputs, pictures and images."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae import VAE, masks, presets
from kvae.core.errors import UserError, user_errors
from kvae.training.config.config import Config
from kvae.training.data.sources import DataSet
from kvae.training.data.sources.picture import (
    AS_THEY_ARE,
    PictureOptions,
    read_picture,
    with_channels,
)
from kvae.training.run.pictures import save_grid

_TEST_SEED = 0  # of the test masks, the same in every run, so that runs can be compared
_WIDTHS = {"filters", "units"}


def build_completing(config: Config, x: Any, given: dict[str, Any]) -> VAE:
    """Builds the p(hidden | visible) model of a configuration.

    Args:
        config: with `complete`; its `encoder` may hold filters and units, which all
            three networks use.
        x: (N, *data_shape) training examples.
        given: parts that have been made.

    Returns:
        vae: built, not compiled.

    Raises:
        UserError: if a key conflicts with `complete`.
    """
    for key in ("network", "decoder", "prior", "condition", "mask"):
        if getattr(config, key) is not None:
            raise UserError(
                "complete makes its own networks, prior and condition; leave out "
                f"{key}."
            )
    latents = config.latents
    if not isinstance(latents, int):
        raise UserError(
            f"complete takes a number of latents; received latent_dim={latents!r}."
        )
    widths = config.encoder or {}
    if not isinstance(widths, dict) or set(widths) - _WIDTHS:
        raise UserError(
            "complete takes only filters and units from encoder, for all its "
            f"networks; received {config.encoder!r}."
        )
    sizes: dict[str, Any] = {key: tuple(value) for key, value in widths.items()}
    with user_errors():
        family = masks.as_family(config.complete)
        return presets.completing_vae(
            x,
            latents,
            family,
            seed=config.seed,
            data_kind=config.data_kind,
            **sizes,
            **given,
        )


def inputs_for_test(data: DataSet, config: Config, part: str = "test") -> Any:
    """The test part in the form that the run's model takes.

    Args:
        data: of the run.
        config: of the run; with `complete`, each test example gets its mask from a fixed
            seed.
        part: "test" or "validation".

    Returns:
        inputs: x, or a dict.
    """
    if config.complete is None:
        return data.inputs(part, config.condition)
    x = getattr(data, part)
    with user_errors():
        family = masks.as_family(config.complete)
        mask = family.draw(len(x), data.shape, _TEST_SEED).numpy()
    return masks.given_visible(x, mask)


def save_completions(
    path: pathlib.Path,
    vae: Any,
    x: np.ndarray,
    mask: Any,
    num: int = 8,
    seed: int = 0,
    pixel_range: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Writes a row for each image: its visible part, completions, the image itself.

    Args:
        path: of the PNG, or of an .npy for the completions (N, num, *data_shape).
        vae: a trained `kvae.VAE` of images.
        x: (N, *data_shape).
        mask: in the shape of x, or a `kvae.masks` family or its name.
        num: completions of each image, the most diverse first.
        seed: of masks and completions.
        pixel_range: the values of black and white.
    """
    if isinstance(mask, (str, dict, masks.MaskFamily)):
        family = masks.as_family(mask)
        mask = family.draw(len(x), x.shape[1:], seed).numpy()
    completed = vae.complete(x, mask, num, seed, diverse=True).x
    if path.suffix == ".npy":
        np.save(path, completed)
        return
    gray = sum(pixel_range) / 2
    visible = np.where(np.asarray(mask) == 1, x, gray)
    rows = np.concatenate([visible[:, None], completed, x[:, None]], axis=1)
    save_grid(path, rows.reshape(-1, *x.shape[1:]), num + 2, pixel_range)


def read_images(
    paths: list[pathlib.Path],
    data_shape: tuple[int, ...],
    pixel_range: tuple[float, float] = (0.0, 1.0),
    config: Config | None = None,
) -> np.ndarray:
    """Reads image files as examples of a model.

    Args:
        paths: of the files.
        data_shape: (H, W), (H, W, 1) or (H, W, 3).
        pixel_range: the values of black and white.
        config: of the run; if it scales images, these are scaled in the same way.

    Returns:
        x: (N, *data_shape) float32.

    Raises:
        UserError: if a file is missing, is not an image, or has another size.
    """
    height, width, channels = (*data_shape, 1)[:3]
    options = AS_THEY_ARE
    if config is not None and config.image_size is not None:
        options = PictureOptions((height, width), config.resize)
    arrays = []
    for path in paths:
        if not path.is_file():
            raise UserError(f"there is no image {path}; check the path.")
        pixels = read_picture(path, options).pixels
        if pixels.shape[:2] != (height, width):
            raise UserError(
                f"the model takes images of {height}x{width} pixels (height x width); "
                f"{path} has {pixels.shape[0]}x{pixels.shape[1]}. Scale it first."
            )
        share = with_channels(pixels, channels) / np.iinfo(pixels.dtype).max
        arrays.append(share.reshape(data_shape))
    low, high = pixel_range
    return (low + np.stack(arrays) * (high - low)).astype("float32")


def read_mask(text: str, num: int, data_shape: tuple[int, ...]) -> Any:
    """Reads a mask from the command line: a family, or an image, white where visible.

    Raises:
        UserError: if it is neither.
    """
    path = pathlib.Path(text)
    if path.suffix:
        mask = read_images([path], data_shape) >= 0.5
        return np.repeat(mask, num, axis=0)
    with user_errors("--mask"):
        return masks.as_family(text)
