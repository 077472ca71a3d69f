"""Presets for data of which only a part is visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kvae import networks, priors
from kvae.likelihoods import StudentT
from kvae.masks import MaskFamily, as_family, visible_shape
from kvae.model.vae import VAE
from kvae.objectives import IWAE, Completion, Objective


def completing_vae(
    x: Any,
    latent_dim: int = 16,
    masks: MaskFamily | str = "left_half",
    filters: tuple[int, ...] = (32, 64),
    units: tuple[int, ...] = (256,),
    objective: Objective | None = None,
    **parts: Any,
) -> VAE:
    """Makes a model of what is hidden given what is visible: p(x|z, visible), p(z|visible).

    The encoder sees all of x; the prior and the decoder see the visible part alone. Train
    it with `fit(x)`: masks are drawn anew in each step. Then `vae.complete(x, mask)`.

    Args:
        x: (N, ...) training examples.
        latent_dim: D, the number of latent dimensions.
        masks: a `kvae.masks` family, or its name; names say what is hidden.
        filters: channels of the networks for images, from fine to coarse.
        units: widths of their dense layers.
        objective: of the conditional model; the plain `ELBO` if None.
        **parts: further arguments of `VAE.for_data`.

    Raises:
        ValueError: if x cannot be masked so, a size is missing, or a condition is given.

    Source: Sohn, Lee, Yan 2015, "Learning structured output representation using deep
        conditional generative models"; Doersch 2016, arXiv:1606.05908, on completing
        half digits.
    """
    if parts.get("condition") is not None:
        raise ValueError(
            "completing_vae makes the condition of x itself, the visible part; received "
            "another. Leave it out."
        )
    if not filters or not units:
        raise ValueError(
            "completing_vae expects at least one number each; received "
            f"filters={filters!r}, units={units!r}. Try filters=(32, 64), units=(256,)."
        )
    shape = np.shape(x)[1:]
    as_family(masks).num_uniforms(shape)  # refuses a shape that it cannot mask
    seen = visible_shape(shape)
    latent_dim = getattr(parts.get("posterior"), "latent_dim", latent_dim)
    upwards = (*filters[::-1], max(8, filters[0] // 4))
    chosen: dict[str, Callable[[], Any]] = {
        "encoder": lambda: networks.visible_encoder(shape, seen, filters, units),
        "decoder": lambda: networks.visible_decoder(
            latent_dim, shape, seen, upwards, units
        ),
        "prior": lambda: priors.ConditionalNormal(
            latent_dim, networks.visible_network(seen, filters, units)
        ),
    }
    made = {name: make() for name, make in chosen.items() if name not in parts}
    objective = Completion(objective, masks)
    return VAE.for_data(x, latent_dim, objective=objective, **made, **parts)


def miwae_imputer(
    x: Any,
    latent_dim: int = 16,
    num_samples: int = 20,
    units: tuple[int, ...] = (128, 128),
    **parts: Any,
) -> VAE:
    """Makes the model of MIWAE for a table with missing entries.

    An importance-weighted bound on the observed entries, an encoder that sees zeros for
    what is missing, and a Student-t likelihood whose scale comes from z; its degrees of
    freedom, from z too in the paper, are one per column here. Standardise the columns
    first; then `fit({"x": x, "mask": mask})` and `kvae.evaluation.impute`.

    Args:
        x: (N, D) the table; NaN where an entry is missing.
        latent_dim: number of latent dimensions.
        num_samples: K, latents in one bound.
        units: widths of the hidden layers of both networks.
        **parts: further arguments of `VAE.for_data`.

    Source: Mattei, Frellsen 2019, arXiv:1812.02633.
    """
    x = np.nan_to_num(np.asarray(x, "float32"))
    latent_dim = getattr(parts.get("posterior"), "latent_dim", latent_dim)
    chosen: dict[str, Callable[[], Any]] = {
        "encoder": lambda: networks.mlp(x.shape[1:], units, "tanh"),
        "decoder": lambda: networks.mlp((latent_dim,), units, "tanh", role="decoder"),
        "likelihood": lambda: StudentT(
            x.shape[1:], df="per_dimension", scale="decoder"
        ),
        "objective": lambda: IWAE(num_samples),
    }
    made = {name: make() for name, make in chosen.items() if name not in parts}
    return VAE.for_data(x, latent_dim, **made, **parts)
