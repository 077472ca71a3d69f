"""Families of masks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kvae.masks.base import MaskFamily
from kvae.masks.from_function import FromFunction
from kvae.masks.half import Half
from kvae.masks.one_of import OneOf
from kvae.masks.random_entries import RandomEntries
from kvae.masks.rectangle import Rectangle
from kvae.masks.stretch import Stretch

NAMES: dict[str, Callable[..., MaskFamily]] = {
    "left_half": lambda: Half("left"),
    "right_half": lambda: Half("right"),
    "top_half": lambda: Half("top"),
    "bottom_half": lambda: Half("bottom"),
    "any_half": lambda: OneOf([Half(s) for s in ("left", "right", "top", "bottom")]),
    "rectangle": Rectangle,
    "random": RandomEntries,
    "future": Stretch,
    "stretch": lambda **options: Stretch(**{"place": "anywhere", **options}),
}
"""The names of families. Each says what is hidden."""


def as_family(masks: Any) -> MaskFamily:
    """Makes a family of masks from a name or another description.

    Args:
        masks: a family; a name such as "left_half" or "left-half"; a dict of "name" and
            arguments, {"name": "random", "rate": 0.3}; or a function for `FromFunction`
            that needs one uniform number.

    Returns:
        family: a `MaskFamily`.

    Raises:
        ValueError: if the name is unknown or the family does not take the arguments.
    """
    if isinstance(masks, MaskFamily):
        return masks
    if callable(masks):
        return FromFunction(masks)
    spec = {"name": masks} if isinstance(masks, str) else masks
    name = spec.get("name") if isinstance(spec, dict) else None
    maker = NAMES.get(name.replace("-", "_")) if isinstance(name, str) else None
    if maker is None or not isinstance(spec, dict):
        raise ValueError(
            f"masks are a kvae.masks family or one of {', '.join(NAMES)}; received "
            f"{masks!r}."
        )
    arguments = {key: value for key, value in spec.items() if key != "name"}
    try:
        return maker(**arguments)
    except TypeError as error:
        raise ValueError(
            f"masks {name!r} do not take {sorted(arguments)}: {error}."
        ) from None
