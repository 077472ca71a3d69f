"""A generated data set whose factors are known, for disentanglement scores."""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar

import numpy as np

from kvae.core.checks import check_together, is_count

_FINE = 3  # each pixel is the mean of 3 x 3 points
_LARGEST = 0.24  # half the extent of the largest shape, in images


@dataclasses.dataclass(frozen=True)
class FactorShapes:
    """Images of one white shape, at every combination of five factors.

    Attributes:
        x: (N, size, size, 1) float32, from 0 to 1.
        factors: (N, 5) int, the level of each factor.
        values: (N, 5) the factor itself: kind as a number, scale as a share of the
            largest, rotation in radians, center from 0 to 1 across the image.
        names: of the factors.
        categorical: whether the levels of a factor have no order.
    """

    x: np.ndarray
    factors: np.ndarray
    values: np.ndarray
    names: ClassVar[tuple[str, ...]] = ("kind", "scale", "rotation", "column", "row")
    categorical: ClassVar[tuple[bool, ...]] = (True, False, False, False, False)
    kinds: ClassVar[tuple[str, ...]] = ("square", "ellipse", "heart")


def factor_shapes(
    size: int = 32, scales: int = 3, rotations: int = 6, positions: int = 5
) -> FactorShapes:
    """Draws squares, ellipses and hearts of every scale, rotation and position.

    Rotations cover only a quarter turn. After that a square looks as it did before, and
    a factor that can't be seen can't be scored.

    Args:
        size: pixels across, at least 16.
        scales: number of scales, at least 2.
        rotations: number of rotations, at least 2.
        positions: number of columns and of rows, at least 2.

    Returns:
        data: N = 3 * scales * rotations * positions^2 images, in the order of
            `itertools.product`.

    Raises:
        ValueError: if an argument is too small, or the images need more than 8 GB.
    """
    numbers = (scales, rotations, positions)
    if not is_count(size, 16) or not all(is_count(number, 2) for number in numbers):
        raise ValueError(
            "factor_shapes needs size of at least 16 and at least 2 levels of each factor; "
            f"received size={size}, scales={scales}, rotations={rotations}, "
            f"positions={positions}."
        )
    count = len(FactorShapes.kinds) * scales * rotations * positions**2
    check_together("N", count, size**2, "Take fewer positions, or smaller images.")
    levels = (
        np.arange(len(FactorShapes.kinds)),
        np.linspace(0.5, 1.0, scales),
        np.linspace(0.0, np.pi / 2, rotations, endpoint=False),
        np.linspace(_LARGEST * 1.4, 1.0 - _LARGEST * 1.4, positions),
        np.linspace(_LARGEST * 1.4, 1.0 - _LARGEST * 1.4, positions),
    )
    factors = np.array(list(itertools.product(*(range(len(v)) for v in levels))))
    values = np.stack([v[factors[:, i]] for i, v in enumerate(levels)], axis=1)
    images = np.stack([_draw(size, *row) for row in values])
    return FactorShapes(images[..., None].astype("float32"), factors, values)


def _draw(
    size: int, kind: float, scale: float, angle: float, column: float, row: float
) -> np.ndarray:
    points = (np.arange(size * _FINE) + 0.5) / (size * _FINE)
    across = (points[None, :] - column) / (_LARGEST * scale)
    down = (points[:, None] - row) / (_LARGEST * scale)
    u = np.cos(angle) * across + np.sin(angle) * down
    v = np.cos(angle) * down - np.sin(angle) * across
    if kind == 0:
        inside = np.maximum(abs(u), abs(v)) < 0.8
    elif kind == 1:
        inside = np.square(u) + np.square(v / 0.55) < 1.0
    else:  # the heart curve (u^2 + w^2 - 1)^3 = u^2 w^3, pointing down
        u, w = 1.15 * u, -1.15 * v + 0.15
        inside = (u**2 + w**2 - 1.0) ** 3 - u**2 * w**3 < 0.0
    fine = inside.reshape(size, _FINE, size, _FINE)
    return fine.mean(axis=(1, 3))
