"""Color pictures of flowers in a meadow, drawn from factors that are known."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_dict, check_seed, check_size

FLOWER_FACTORS: dict[str, tuple[float, float]] = {
    "petals": (4, 8),
    "hue": (-0.2, 0.15),
    "paleness": (0.1, 0.6),
    "radius": (0.4, 0.62),
    "turn": (-0.5, 0.5),
    "left": (-0.25, 0.25),
    "top": (-0.35, -0.1),
    "heart": (0.07, 0.16),
    "sky": (0.5, 0.62),
    "meadow": (0.22, 0.36),
}
"""The smallest and largest value of each factor, in the order of their columns.

`petals` is a whole number; `hue`, `heart`, `sky`, and `meadow` are hues in turns of the
color wheel, where 0 is red; `radius`, `left`, and `top` are in half pictures; `turn` is the
angle in units of the one that turns a petal into the next.
"""
_MOST = 2**31  # bytes
_AT_ONCE = 1000  # pictures, so that a large array needs no more memory than its own


def make_flowers(
    num: int = 3000,
    size: int = 32,
    *,
    seed: int = 0,
    fixed: dict[str, float] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws color pictures of flowers, and returns what each was drawn from.

        x, factors = kvae.datasets.make_flowers(3000)
        petals = factors[:, 0].astype(int)

    Factors are independent and uniform. The first pictures of a larger `num` are those of a
    smaller one.

    Args:
        num: how many.
        size: height and width in pixels.
        seed: of the factors.
        fixed: values of factors by name, the same in all pictures, such as
            {"petals": 6}.

    Returns:
        x: (num, size, size, 3) uint8, from 0 to 255.
        factors: (num, 10) float32; `FLOWER_FACTORS` names the columns.

    Raises:
        ValueError: if a factor is unknown or outside its range, or the array too large.
    """
    num, size = check_count("num", num), check_size("size", size, 8, 1024)
    if 3 * num * size**2 > _MOST:
        raise ValueError(
            f"num={num} pictures of {size}x{size} pixels are more than 2 GB at once. Draw "
            "fewer or smaller ones, or several arrays with one seed each."
        )
    rng = np.random.default_rng(check_seed(seed))
    factors = rng.random((num, len(FLOWER_FACTORS)), "float32")
    for column, (name, (low, high)) in enumerate(FLOWER_FACTORS.items()):
        if name == "petals":
            factors[:, column] = np.floor(low + factors[:, column] * (high - low + 1))
        else:
            factors[:, column] = low + factors[:, column] * (high - low)
    for name, value in check_dict("fixed", {} if fixed is None else fixed).items():
        column, factor = _checked(name, value)
        factors[:, column] = factor
    x = np.empty((num, size, size, 3), "uint8")
    for start in range(0, num, _AT_ONCE):
        x[start : start + _AT_ONCE] = _draw(factors[start : start + _AT_ONCE], size)
    return x, factors


def _checked(name: Any, value: Any) -> tuple[int, float]:
    """Returns the column of a factor, and its value as float."""
    if name not in FLOWER_FACTORS:
        raise ValueError(
            f"fixed has the factor {name!r}; factors of flowers are "
            f"{', '.join(FLOWER_FACTORS)}."
        )
    low, high = FLOWER_FACTORS[name]
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not real or not low <= value <= high:
        raise ValueError(
            f"the factor {name!r} must be a number from {low} to {high}; received "
            f"{value!r}."
        )
    if name == "petals" and value != int(value):
        raise ValueError(f"petals must be a whole number; received {value!r}.")
    return list(FLOWER_FACTORS).index(name), float(value)


def _draw(factors: np.ndarray, size: int) -> np.ndarray:
    """Paints a meadow, a stem, petals, and a heart over the sky, in this order."""
    petals, hue, paleness, radius, turn, left, top, heart, sky, meadow = factors.T[
        :, :, None, None
    ]
    line = (np.arange(size, dtype="float32") + 0.5) * 2 / size - 1
    x, y = line[None, None, :], line[None, :, None]  # of pixel centers, from -1 to 1
    right, down = x - left, y - top
    distance = np.hypot(right, down)
    angle = np.arctan2(right, -down) - turn * 2 * np.pi / petals  # clockwise from above
    edge = radius * (0.75 + 0.25 * np.cos(petals * angle))
    ground = 0.72 + 0.05 * np.sin(4 * x + 20 * left)
    stem = np.minimum(0.06 - np.abs(x - left * (1 - down / 2)), down)

    picture = _rgb(sky, 0.35 - 0.1 * y, 0.95)
    for inside, color in (
        (y - ground, _rgb(meadow, 0.6, 0.7)),
        (stem, _rgb(0.33, 0.7, 0.5)),
        (edge - distance, _rgb(hue % 1, 1 - paleness, 0.97 - 0.15 * distance / radius)),
        (0.32 * radius - distance, _rgb(heart, 0.85, 0.98)),
    ):
        # The share of a pixel that a straight edge at this distance would cover.
        share = np.clip(0.5 + inside * size / 2, 0, 1)[..., None]
        picture = picture + (color - picture) * share
    return np.round(picture * 255).astype("uint8")


def _rgb(hue: Any, saturation: Any, value: Any) -> np.ndarray:
    """Colors from hue, saturation, and value, each from 0 to 1: the hexcone of Smith 1978.

        channel = value (1 - saturation max(0, min(k, 4 - k, 1))),  k = (n + 6 hue) mod 6

    with n = 5, 3, 1 for red, green, and blue.
    """
    hue, saturation, value = (
        np.asarray(a, "float32")[..., None] for a in (hue, saturation, value)
    )
    k = (np.array([5, 3, 1], "float32") + 6 * hue) % 6
    return value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1))
