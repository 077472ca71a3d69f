"""How many training steps go into one call into TensorFlow; no number depends on it."""

from __future__ import annotations

import math

STEPS_AT_ONCE = 24
"""About how many steps one call into TensorFlow makes; more has no measurable gain."""

_BYTES_AT_ONCE = 32 * 2**20  # of the batches of one call, which it holds all at once


def steps_wanted(batch_bytes: int) -> int:
    """How many steps go into one call, at most 24 and as memory allows.

    Args:
        batch_bytes: of one batch.

    Returns:
        wanted: for `steps_at_once`.
    """
    return max(1, min(STEPS_AT_ONCE, _BYTES_AT_ONCE // max(1, batch_bytes)))


def steps_at_once(steps: int, wanted: int) -> int:
    """Chooses how many steps go into one call, near what is wanted.

    Any number from half to twice the wanted one will do, so that an epoch is a whole
    number of calls, or nearly.

    Args:
        steps: of one pass over the data.
        wanted: steps per call.

    Returns:
        chosen: steps per call; a divisor of `steps` where there is one.
    """
    choices = range(math.ceil(wanted / 2), min(2 * wanted, steps) + 1)
    if not choices:  # fewer steps than half of what is wanted
        return steps
    return min(choices, key=lambda n: (-steps % n, abs(n - wanted)))
