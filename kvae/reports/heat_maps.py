"""Where examples are unusual, drawn: on pictures, over time, and by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.reports.pictures import figure_png, new_figure

_RED = np.array([0.86, 0.10, 0.12])
_SHOWN = 3  # entries named per example
_LEAST = 0.1  # nats


def heat_maps(
    images: np.ndarray, attribution: np.ndarray, scale: float | None = None
) -> tuple[np.ndarray, float]:
    """Paints red where pictures are unusual.

    Args:
        images: (N, H, W, C), NaN where missing.
        attribution: (N, H, W, C) nats, summed over channels here.
        scale: the nats of full red; the largest 2 percent of all pixels if None.

    Returns:
        maps: (N, H, W, 3), from 0 to 1: the picture in gray, with red over it.
        scale: the nats of full red.
    """
    nats = np.nan_to_num(np.asarray(attribution, "float64"), posinf=1e6).sum(axis=-1)
    if scale is None:
        scale = max(float(np.quantile(nats, 0.98)), 1.0)
    heat = np.clip(nats / scale, 0.0, 1.0)[..., None]
    gray = np.nan_to_num(images).mean(axis=-1, keepdims=True)
    low, high = float(gray.min()), float(gray.max())
    light = 0.15 + 0.7 * (gray - low) / max(high - low, 1e-12)
    return (1.0 - heat) * light + heat * _RED, scale


def heat_map_rows(
    shown: np.ndarray,
    rebuilt: np.ndarray,
    maps: np.ndarray,
    limits: tuple[float, float],
) -> np.ndarray:
    """Puts examples, reconstructions, and heat maps into rows: (3, N, H, W, 3)."""
    low, high = limits

    def color(images: np.ndarray) -> np.ndarray:
        unit = np.clip((images - low) / max(high - low, 1e-12), 0.0, 1.0)
        return np.broadcast_to(unit, (*unit.shape[:-1], 3))

    return np.stack([color(shown), color(rebuilt), maps])


def series_png(by_time: np.ndarray, labels: Sequence[str]) -> bytes:
    """Draws nats by time step, one row per series."""
    figure, axes = new_figure((7.0, 0.6 + 0.3 * len(by_time)))
    limit = max(float(np.quantile(by_time, 0.99)), 1.0)
    picture = axes.imshow(
        np.clip(by_time, 0.0, limit), aspect="auto", cmap="Reds", vmin=0.0
    )
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel("time step")
    figure.colorbar(picture, ax=axes, label="nats above usual")
    return figure_png(figure)


def top_entries(
    attribution: np.ndarray,
    data_shape: tuple[int, ...],
    columns: Sequence[str] | None = None,
) -> list[str]:
    """Names the most unusual entries of each example, in words.

    Args:
        attribution: (N, *data_shape) nats.
        data_shape: of one example; a series (T, F) is named by its time steps.
        columns: names of the columns; their numbers if None.

    Returns:
        words: for example "age 12.1, height 3.4", one text per example; entries below a
            tenth of a nat are left out.
    """
    values = attribution
    if len(data_shape) >= 2:  # pixels and steps: sum over what is inside of them
        values = attribution.sum(axis=-1)
    flat = values.reshape(len(values), -1)
    order = np.argsort(-flat, axis=1)[:, :_SHOWN]

    def name(index: int) -> Any:
        if len(data_shape) == 1:
            return f"column {index}" if columns is None else columns[index]
        place = np.unravel_index(index, values.shape[1:])
        if len(place) == 1:
            return f"step {place[0]}"
        return f"pixel ({', '.join(map(str, place))})"

    return [
        ", ".join(
            f"{name(int(i))} {flat[row, i]:.1f}" for i in tops if flat[row, i] >= _LEAST
        )
        for row, tops in enumerate(order)
    ]
