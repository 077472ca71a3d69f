"""The size of images in a recipe or on the command line."""

from __future__ import annotations

from typing import Any

from kvae.core.errors import UserError

RESIZES = ("crop", "stretch")
"""Ways to scale an image to other proportions: crop what is too long, or distort."""


def size_of(value: Any) -> tuple[int, int]:
    """Reads a size: 64 for a square, (height, width), or "64x48", height first.

    Raises:
        UserError: if it is not one or two positive integers.
    """
    parts: Any = value.lower().split("x") if isinstance(value, str) else value
    parts = [parts] if isinstance(parts, int) else parts
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise UserError(
            "a size must be a height and a width in pixels, such as 64x48, or one "
            f"number for both; received {value!r}."
        )
    return numbers[0], numbers[-1]
