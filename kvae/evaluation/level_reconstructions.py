"""What each level of a deep model knows about an example."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kvae.core.checks import check_vae
from kvae.core.types import Tensor
from kvae.model.arrays import posterior_params
from kvae.model.walks import decode_means


def level_reconstructions(
    vae: Any, x: Any, batch_size: int = 512
) -> dict[str, np.ndarray]:
    """Reconstructs examples from the top levels alone.

    Down to one size of maps, the latents are those that the posterior infers from x; all
    below are what the prior expects given them. What a picture has in common with x is
    what the levels down to there know. A condition is known to all levels.

    Args:
        vae: a `kvae.VAE` whose posterior has levels of maps, such as `TopDownMaps`.
        x: (N, *data_shape), or a dict with "x" and "condition".
        batch_size: examples per pass; does not change the result.

    Returns:
        x: (N, *data_shape) by the size of the maps down to which x is known, from
            "nothing" to the largest, such as "7x7", where all levels know x.

    Raises:
        ValueError: if the latents have no levels, or x does not fit the model.
    """
    check_vae(vae)
    if not hasattr(vae.posterior, "known_levels"):
        raise ValueError(
            "level_reconstructions takes a model with levels of maps, such as one from "
            f"kvae.presets.deep_vae; the posterior here is {vae.posterior!r}."
        )
    condition = vae.check_inputs(x).condition
    maps = vae.posterior.maps
    ends = (0, *maps.groups[1:], len(maps.names))
    names = ("nothing", *(maps.names[end - 1] for end in ends[1:]))
    found = {}
    for name, count in zip(names, ends, strict=True):
        z = vae.map_arrays(functools.partial(_known, count=count), x, batch_size)
        found[name] = decode_means(vae, z, condition)
    return found


def _known(model: Any, batch: dict[str, Tensor], first: Tensor, count: int) -> Tensor:
    return model.posterior.known_levels(posterior_params(model, batch, first), count)
