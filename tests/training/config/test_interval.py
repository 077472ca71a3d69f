"""Intervals in words."""

import pytest

from kvae.core.errors import UserError
from kvae.training.config.interval import Interval


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("5 minutes", Interval(seconds=300.0)),
        ("1.5 hours", Interval(seconds=5400.0)),
        ("minute", Interval(seconds=60.0)),
        ("500 steps", Interval(steps=500)),
        ("1 epoch", Interval(epochs=1)),
        ("never", Interval()),
    ],
)
def test_words_are_read(text: str, wanted: Interval) -> None:
    assert Interval.of(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "5", "0 steps", "1.5 epochs", "-1 steps", "often"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="10 minutes"):
        Interval.of(text)


def test_an_interval_has_passed_when_as_much_is_done() -> None:
    assert not Interval(steps=5).passed(epochs=9, steps=4, seconds=1e9)
    assert Interval(steps=5).passed(epochs=0, steps=5, seconds=0.0)
    assert Interval(seconds=2.0).passed(epochs=0, steps=0, seconds=2.0)
    assert Interval(epochs=1).passed(epochs=1, steps=0, seconds=0.0)
    assert not Interval().passed(epochs=9, steps=9, seconds=1e9)
