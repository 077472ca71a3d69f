"""The pictures of a run, as PNG files."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np

from kvae.core.atomic import replacing
from kvae.core.errors import UserError
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.reports.pictures import LINE, image_grid

_COLUMNS = 8
_ROWS = 40  # of a data set with many classes, not all are shown


def is_image(shape: tuple[int, ...]) -> bool:
    """Returns whether this shape can be drawn: (H, W), (H, W, 1) or (H, W, 3)."""
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))


def shows_images(vae: Any) -> bool:
    """Returns whether the examples of a model can be drawn as images."""
    return vae.data_kind != "series" and is_image(vae.data_shape)


def save_grid(
    path: pathlib.Path,
    images: np.ndarray,
    columns: int,
    pixel_range: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Writes images as a grid, filled row by row.

    Args:
        path: of the PNG.
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3).
        columns: images per row.
        pixel_range: the values of black and white.

    Raises:
        MissingExtra: if matplotlib is not installed.
    """
    image_module = require("matplotlib.image", "drawing pictures")
    low, high = pixel_range
    rows = math.ceil(len(images) / columns)
    blank = np.float32(low + LINE * (high - low))  # empty cells
    cells = np.full((rows * columns, *images.shape[1:]), blank, "float32")
    cells[: len(images)] = images
    pixels = image_grid(cells.reshape(rows, columns, *images.shape[1:]), low, high)
    factor = max(1, 640 // max(pixels.shape[:2]))
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    with replacing(path) as beside:
        image_module.imsave(beside, large)


def save_examples(
    path: pathlib.Path, x: np.ndarray, pixel_range: tuple[float, float] = (0.0, 1.0)
) -> None:
    """Writes examples as a square grid (.png) or as an array (.npy).

    Raises:
        UserError: if `path` is a picture and the examples are not images.
    """
    _save(path, x, x, math.ceil(math.sqrt(len(x))), pixel_range)


def save_rows(
    path: pathlib.Path, rows: np.ndarray, pixel_range: tuple[float, float] = (0.0, 1.0)
) -> None:
    """Writes examples (N, S, *data_shape) as N rows (.png) or as an array (.npy).

    Raises:
        UserError: if `path` is a picture and the examples are not images.
    """
    examples = rows.reshape(-1, *rows.shape[2:])
    _save(path, rows, examples, rows.shape[1], pixel_range)


def _save(
    path: pathlib.Path,
    array: np.ndarray,
    examples: np.ndarray,
    columns: int,
    pixel_range: tuple[float, float],
) -> None:
    """Writes the array as it is, or its examples as a grid."""
    if path.suffix == ".npy":
        with replacing(path) as beside:
            np.save(beside, array)
    elif is_image(examples.shape[1:]):
        save_grid(path, examples, columns, pixel_range)
    else:
        raise UserError(
            f"examples of shape {examples.shape[1:]} are not images; use an --out that "
            "ends in .npy."
        )


def save_curves(path: pathlib.Path, history: list[dict[str, float]]) -> None:
    """Writes the learning curves: ELBO above, rate and distortion below.

    Args:
        path: of the PNG.
        history: one dict per epoch, with "epoch" and the metrics of `fit`.
    """
    figure_module = require("matplotlib.figure", "drawing the learning curves")
    figure = figure_module.Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots(1, 3)
    epochs = [row["epoch"] for row in history]
    skip = len(history) // 20  # the first epochs would squash the rest
    for axis, name in zip(axes, ("elbo", "rate", "distortion"), strict=True):
        shown: list[float] = []
        for key, style, label in (
            (name, "-", "training"),
            (f"val_{name}", "--", "validation"),
        ):
            if key in history[0]:
                values = [row[key] for row in history]
                axis.plot(epochs, values, style, label=label)
                shown += values[skip:]
        _limit(axis, shown)
        axis.set_title(name if name != "elbo" else "ELBO")
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("nats per example")
    axes[0].legend()
    with replacing(path) as beside:
        figure.savefig(beside, dpi=120)


def save_pictures(
    folder: pathlib.Path,
    vae: Any,
    x: Any,
    seed: int,
    pixel_range: tuple[float, float] = (0.0, 1.0),
    name: str = "",
) -> list[pathlib.Path]:
    """Writes samples, reconstructions and, for two latents, the manifold.

    A model of labels draws one row per class, with the same latents in each row.

    Args:
        folder: to write to.
        vae: a trained `kvae.VAE` of images.
        x: (N, *data_shape) test examples, or a dict of "x" and "condition"; the first 32
            are reconstructed.
        seed: of the samples.
        pixel_range: the values of black and white.
        name: added to the names of the files, after samples, reconstructions, manifold.

    Returns:
        paths: of the files.
    """
    samples = folder / f"samples{name}.png"
    few = _few(x)
    save_grid(samples, _samples(vae, few, seed), _COLUMNS, pixel_range)
    reconstructions = folder / f"reconstructions{name}.png"
    save_reconstructions(reconstructions, vae, x, pixel_range)
    paths = [samples, reconstructions]
    if vae.latent_dim == 2 and vae.condition is None and vae.prior.space == "R^D":
        manifold = folder / f"manifold{name}.png"
        save_grid(manifold, _manifold(vae, 20), 20, pixel_range)
        paths.append(manifold)
    return paths


def save_reconstructions(
    path: pathlib.Path,
    vae: Any,
    x: Any,
    pixel_range: tuple[float, float] = (0.0, 1.0),
) -> None:
    """Writes the first 32 examples, each next to its reconstruction.

    Args:
        path: of the PNG.
        vae: a trained `kvae.VAE` of images.
        x: as for `save_pictures`.
        pixel_range: the values of black and white.
    """
    few = _few(x)
    pairs = np.stack([few["x"], vae.reconstruct(few)], axis=1)
    save_grid(path, pairs.reshape(-1, *vae.data_shape), 8, pixel_range)


def _few(x: Any) -> dict[str, np.ndarray]:
    return {key: value[:32] for key, value in Inputs.of(x).to_dict().items()}


def _samples(vae: Any, few: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Draws samples in rows of eight: of each class, or of the test conditions."""
    if vae.condition is None:
        return np.asarray(vae.sample(8 * _COLUMNS, seed=seed))
    rows = vae.condition.classes or few["condition"][:8]
    return np.concatenate(
        [vae.sample(_COLUMNS, seed=seed, condition=given) for given in rows[:_ROWS]]
    )


def _manifold(vae: Any, side: int) -> np.ndarray:
    """Decodes means over a square of latents that holds 95 % of N(0, I)."""
    steps = np.linspace(-2.24, 2.24, side, dtype="float32")
    z = np.stack(np.meshgrid(steps, -steps), axis=-1).reshape(-1, 2)
    return np.asarray(vae.likelihood.mean(vae.likelihood_params(z)))


def _limit(axis: Any, values: list[float]) -> None:
    finite = [v for v in values if np.isfinite(v)]
    if finite and max(finite) > min(finite):
        margin = 0.05 * (max(finite) - min(finite))
        axis.set_ylim(min(finite) - margin, max(finite) + margin)
