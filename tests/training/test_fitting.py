"""How many steps go into one call."""

import pytest

from kvae.training.fitting import steps_at_once


@pytest.mark.parametrize(
    ("steps", "wanted", "chosen"),
    [
        (460, 10, 10),  # divides
        (461, 10, 11),  # a prime: 42 calls, one step more than a pass
        (41, 21, 41),  # the whole pass at once
        (60, 9, 10),  # the divisor nearest to what is wanted
        (100, 1, 1),
        (3, 50, 3),  # a short pass
        (1, 10, 1),
    ],
)
def test_an_epoch_is_hardly_longer_than_a_pass(steps, wanted, chosen):
    assert steps_at_once(steps, wanted) == chosen


@pytest.mark.parametrize("wanted", [1, 2, 10, 50])
def test_no_choice_near_the_one_wanted_would_waste_less(wanted):
    for steps in range(1, 500):
        found = steps_at_once(steps, wanted)
        near = [n for n in range(1, steps + 1) if wanted <= 2 * n <= 4 * wanted]
        assert -steps % found == min((-steps % n for n in near), default=0)
