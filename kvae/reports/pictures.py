"""Arrays drawn as PNG pictures, with matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.core.checks import check_number
from kvae.core.extras import require
from kvae.core.inputs import Inputs

LINE = 0.8
"""How light the lines between images are, from 0 to 1."""
_MISSING = (0.35, 0.55, 0.85)


def image_grid(images: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Tiles images into one.

    Args:
        images: (R, C, H, W), (R, C, H, W, 1) or (R, C, H, W, 3).
        low: the value shown as black.
        high: the value shown as white.

    Returns:
        picture: (R * (H + 1) + 1, C * (W + 1) + 1, 3), from 0 to 1, thin light lines
            between; pixels that are NaN are blue.

    Raises:
        ValueError: if the arrays are not images.
    """
    images = np.asarray(images, "float64")
    if images.ndim == 4:
        images = images[..., None]
    if images.ndim != 5 or images.shape[-1] not in (1, 3):
        raise ValueError(
            "image_grid takes rows and columns of images, (R, C, H, W), "
            f"(R, C, H, W, 1) or (R, C, H, W, 3); received shape {images.shape}."
        )
    low, high = (
        check_number("low", low, -math.inf),
        check_number("high", high, -math.inf),
    )
    rows, columns, height, width, _ = images.shape
    shown = np.clip((images - low) / max(high - low, 1e-12), 0.0, 1.0)
    shown = np.broadcast_to(shown, (*shown.shape[:-1], 3))
    shown = np.where(np.isnan(shown), _MISSING, shown)
    # Each cell has its line above and on the left; the last lines are added at the end.
    cells = np.full((rows, columns, height + 1, width + 1, 3), LINE)
    cells[:, :, 1:, 1:] = shown
    sheet = cells.swapaxes(1, 2).reshape(rows * (height + 1), columns * (width + 1), 3)
    return np.pad(sheet, ((0, 1), (0, 1), (0, 0)), constant_values=LINE)


def value_range(images: np.ndarray) -> tuple[float, float]:
    """Returns the values of black and white: 0 and 1, or the smallest and largest value."""
    known = images[np.isfinite(images)]
    if not known.size or (known.min() >= 0 and known.max() <= 1):
        return 0.0, 1.0
    return float(known.min()), float(known.max())


def observed_images(vae: Any, inputs: Inputs) -> np.ndarray | None:
    """Examples as images, NaN where they are missing; None if they are not images."""
    x = np.asarray(inputs.x, "float32")
    if inputs.mask is not None:
        x = np.where(np.asarray(inputs.mask, bool), x, np.float32(np.nan))
    return as_images(vae, x)


def as_images(vae: Any, x: np.ndarray) -> np.ndarray | None:
    """Reads examples as images (..., H, W, C), if they are images or square vectors.

    Args:
        vae: the model of the examples. Series are not images.
        x: (..., *data_shape).
    """
    data_shape = vae.data_shape
    if vae.data_kind == "series":
        return None
    lead = x.shape[: x.ndim - len(data_shape)]
    if len(data_shape) == 3 and data_shape[-1] in (1, 3):
        return x
    if len(data_shape) == 2:
        return x[..., None]
    side = int(round(float(np.sqrt(data_shape[-1]))))
    if len(data_shape) == 1 and side * side == data_shape[0] and side >= 8:
        return x.reshape(*lead, side, side, 1)
    return None


def picture_png(picture: np.ndarray, width: int = 900) -> bytes:
    """Writes a picture (H, W, 3), from 0 to 1, as PNG, about `width` pixels wide.

    Every pixel becomes a square of whole pixels, so that nothing is blurred.
    """
    zoom = max(1, round(width / picture.shape[1]))
    plt_image = require("matplotlib.image", "drawing pictures")
    sharp = np.repeat(np.repeat(picture, zoom, axis=0), zoom, axis=1)
    buffer = io.BytesIO()
    plt_image.imsave(buffer, np.ascontiguousarray(sharp), format="png")
    return buffer.getvalue()


def scatter_png(points: np.ndarray, labels: Any, names: tuple[str, str]) -> bytes:
    """Draws points (N, 2), colored by labels (N,) or all alike if None."""
    figure, axes = new_figure((6.4, 5.0))
    size = float(np.clip(6000 / len(points), 3, 20))
    if labels is None:
        axes.scatter(*points.T, s=size, alpha=0.5, linewidths=0, color="#3b6ea5")
    else:
        labels = np.asarray(labels)
        classes = np.unique(labels)
        colors = require("matplotlib", "drawing pictures").colormaps[
            "tab10" if len(classes) <= 10 else "viridis"
        ]
        for i, value in enumerate(classes):
            place = i if len(classes) <= 10 else i / (len(classes) - 1)
            rows = labels == value
            axes.scatter(
                *points[rows].T,
                s=size,
                alpha=0.6,
                linewidths=0,
                color=colors(place),
                label=str(value) if len(classes) <= 20 else None,
            )
        if len(classes) <= 20:
            axes.legend(
                fontsize=8,
                frameon=False,
                loc="center left",
                bbox_to_anchor=(1, 0.5),
                markerscale=3,  # the points are too small to see their color in a list
            )
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    return figure_png(figure)


def bars_png(
    values: np.ndarray,
    ylabel: str,
    active: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> bytes:
    """Draws one bar per latent dimension, largest first; idle ones are gray.

    Args:
        values: (D,) heights.
        ylabel: what they are.
        active: (D,) booleans; bars of the others are gray. None draws all alike.
        names: (D,) of the bars, such as those of columns; their numbers if None.
    """
    order = np.argsort(values)[::-1]
    figure, axes = new_figure((7.0, 2.6))
    colors = ["#3b6ea5"] * len(values)
    if active is not None:
        colors = ["#3b6ea5" if active[i] else "#bbbbbb" for i in order]
    axes.bar(np.arange(len(values)), values[order], color=colors)
    if len(values) <= 40:
        shown = [str(i) if names is None else names[i][:24] for i in order]
        axes.set_xticks(np.arange(len(values)), shown, fontsize=7)
    else:
        axes.set_xticks([])
    if names is None:
        axes.set_xlabel("latent dimension, largest first")
    else:
        axes.tick_params(axis="x", labelrotation=60)
    axes.set_ylabel(ylabel)
    return figure_png(figure)


def histogram_png(values: np.ndarray, xlabel: str) -> bytes:
    """Draws how values are spread over examples."""
    figure, axes = new_figure((7.0, 2.6))
    axes.hist(values, bins=min(60, max(10, len(values) // 10)), color="#3b6ea5")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("examples")
    return figure_png(figure)


def curves_png(curves: dict[str, Any], xlabel: str, ylabel: str) -> bytes:
    """Draws one line per name."""
    figure, axes = new_figure((7.0, 3.0))
    for name, values in curves.items():
        axes.plot(np.arange(1, len(values) + 1), values, label=name, linewidth=1.5)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.legend(fontsize=8, frameon=False)
    return figure_png(figure)


def overlaid_histograms_png(
    groups: dict[str, np.ndarray], xlabel: str, line: float | None = None
) -> bytes:
    """Draws how values are spread in each group, as shares of the group.

    Values beyond the middle 99 percent of the first group, doubled on each side, count in
    the outermost bins.

    Args:
        groups: values by name.
        xlabel: what they are.
        line: where to draw a vertical line.
    """
    figure, axes = new_figure((7.0, 2.8))
    first = next(iter(groups.values()))
    low, high = np.quantile(first[np.isfinite(first)], (0.005, 0.995))
    edge = max(high - low, 1e-12)
    smallest = min(values.min() for values in groups.values())
    largest = max(values.max() for values in groups.values())
    if line is not None and np.isfinite(line):
        largest, high = max(largest, line), max(high, line)
    low, high = max(smallest, low - edge), min(largest, high + edge)
    bins = np.linspace(low, max(high, low + 1e-12), 50)
    for (name, values), color in zip(
        groups.items(), ("#8a97a3", "#c8452f", "#3b6ea5"), strict=False
    ):
        share = np.full(len(values), 1.0 / len(values))
        inside = np.clip(values, bins[0], bins[-1])
        axes.hist(inside, bins=bins, weights=share, color=color, alpha=0.6, label=name)
    if line is not None and np.isfinite(line):
        axes.axvline(line, color="#1c2733", linewidth=1.2, linestyle="--")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("share of examples")
    axes.legend(fontsize=8, frameon=False)
    return figure_png(figure)


def new_figure(size: tuple[float, float]) -> tuple[Any, Any]:
    """Makes a figure with one plot, without touching pyplot.

    Args:
        size: width and height in inches.
    """
    figure, axes = new_plots(size, (1, 1))
    return figure, axes[0, 0]


def new_plots(
    size: tuple[float, float], shape: tuple[int, int]
) -> tuple[Any, np.ndarray]:
    """Makes a figure with several plots.

    Args:
        size: width and height in inches.
        shape: rows and columns of plots.

    Returns:
        figure: of matplotlib.
        axes: (rows, columns).
    """
    # A Figure of its own needs no window and leaves the user's pyplot state alone.
    module = require("matplotlib.figure", "drawing pictures")
    figure = module.Figure(figsize=size, layout="constrained")
    axes = figure.subplots(*shape, squeeze=False)
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def figure_png(figure: Any) -> bytes:
    """Writes a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
