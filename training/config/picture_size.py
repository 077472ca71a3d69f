"""The size of images, as a recipe or the command line says it."""

from __future__ import annotations

from typing import Any

from kvae.core.errors import UserError

RESIZES = ("crop", "stretch")
"""Ways to scale an image to other proportions: cut off what is too long, or distort."""


def size_of(value: Any) -> tuple[int, int]:
    """Reads a size: 64 for a square, (height, width), or "64x48", height first.

    Raises:
        UserError: if it is not two whole numbers from 1.
    """
    parts: Any = value.lower().split("x") if isinstance(value, str) else value
    parts = [parts] if isinstance(parts, int) else parts
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise UserError(
            "a size is a height and a width in pixels, such as 64x48, or one number for "
            f"both; received {value!r}."
        )
    return numbers[0], numbers[-1]
