"""Flowers show the factors that they were drawn from."""

import colorsys

import numpy as np
import pytest

from kvae.datasets import FLOWER_FACTORS, make_flowers
from kvae.datasets.flowers import _rgb

NAMES = list(FLOWER_FACTORS)


def column(factors: np.ndarray, name: str) -> np.ndarray:
    return factors[:, NAMES.index(name)]


def on_circle(size: int, petals: int, turn: float) -> np.ndarray:
    """Colors on a circle around the flower, between the inner and the outer edge."""
    fixed = {"petals": petals, "turn": turn, "left": 0.0, "top": -0.2, "radius": 0.6}
    x, _ = make_flowers(1, size, fixed={**fixed, "hue": 0.0, "sky": 0.5})
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    across, up = 0.5 * np.sin(angle), 0.2 + 0.5 * np.cos(angle)
    row = np.floor((1 - up) * size / 2).astype(int)
    return x[0, row, np.floor((1 + across) * size / 2).astype(int)].astype(int)


@pytest.mark.parametrize("petals", [4, 5, 6, 7, 8])
def test_petals_are_as_many_as_said_and_turned_as_said(petals: int) -> None:
    colors = on_circle(256, petals, turn=0.4)
    is_red = colors[:, 0] > colors[:, 2] + 40
    starts = np.flatnonzero(is_red & ~np.roll(is_red, 1))
    assert len(starts) == petals
    ends = np.flatnonzero(~is_red & np.roll(is_red, 1))
    first = (starts[starts < ends[0]].max(initial=0) + ends[0]) / 2  # its middle
    step = 720 / petals
    assert abs((first - 0.4 * step + step / 2) % step - step / 2) < 8


def test_the_heart_is_where_and_what_color_it_was_said() -> None:
    x, factors = make_flowers(50, 64, seed=3)
    left, top = column(factors, "left"), column(factors, "top")
    at = np.floor((np.stack([top, left]) + 1) * 32).astype(int)
    for picture, row, across, heart in zip(
        x, *at, column(factors, "heart"), strict=True
    ):
        red, green, blue = picture[row, across] / 255
        assert abs(colorsys.rgb_to_hsv(red, green, blue)[0] - heart) < 0.01


def test_colors_are_those_of_the_standard_library() -> None:
    given = np.random.default_rng(0).random((100, 3)).astype("float32")
    expected = [colorsys.hsv_to_rgb(*row) for row in given.tolist()]
    np.testing.assert_allclose(_rgb(*given.T), expected, atol=1e-5)


def test_factors_are_uniform_and_independent() -> None:
    _, factors = make_flowers(4000, 8)
    for (low, high), values in zip(FLOWER_FACTORS.values(), factors.T, strict=True):
        assert low <= values.min()
        assert values.max() <= high
        # The mean of n uniform numbers has the standard error width / sqrt(12 n).
        assert abs(values.mean() - (low + high) / 2) < 5 * (high - low + 1) / 219
    off = np.corrcoef(factors.T) - np.eye(len(NAMES))
    assert np.abs(off).max() < 5 / np.sqrt(4000)
    np.testing.assert_array_equal(np.unique(column(factors, "petals")), [4, 5, 6, 7, 8])


def test_pictures_depend_on_seed_and_position_alone() -> None:
    few, _ = make_flowers(3, 16, seed=1)
    many, _ = make_flowers(1003, 16, seed=1)
    np.testing.assert_array_equal(many[:3], few)
    assert (make_flowers(3, 16, seed=2)[0] != few).any(axis=(1, 2, 3)).all()
    assert few.dtype == np.uint8


def test_what_is_not_a_factor_is_refused() -> None:
    with pytest.raises(ValueError, match="'leaves'; factors of flowers are petals"):
        make_flowers(2, fixed={"leaves": 2})
    with pytest.raises(ValueError, match="'hue' must be a number from -0.2 to 0.15"):
        make_flowers(2, fixed={"hue": 0.5})
    with pytest.raises(ValueError, match="petals must be a whole number"):
        make_flowers(2, fixed={"petals": 4.5})
    with pytest.raises(ValueError, match="num must be an integer"):
        make_flowers(0)
