"""The levels on which prior and posterior of a deep latent model agree."""

from __future__ import annotations

from typing import Any

from kvae.core.checks import MOST_UNITS, is_integer


def check_levels(owner: str, latent_dims: Any) -> tuple[int, ...]:
    """Reads the dimensions of the levels of latents.

    Args:
        owner: class name, for the message.
        latent_dims: what the user gave.

    Returns:
        dims: as a tuple, the lowest level first.

    Raises:
        ValueError: unless they are two or more positive integers.
    """
    dims = tuple(latent_dims) if isinstance(latent_dims, (tuple, list)) else ()
    most = MOST_UNITS // max(1, len(dims))
    if len(dims) < 2 or not all(is_integer(dim) and 0 < dim <= most for dim in dims):
        raise ValueError(
            f"{owner} expects latent_dims to be two or more positive integers, the lowest "
            f"level first; received {latent_dims!r}. Try (32, 16); for one level use "
            "StandardNormal and DiagonalNormal."
        )
    return dims
