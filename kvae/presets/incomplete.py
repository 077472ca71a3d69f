"""Presets for incomplete data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kvae import networks, priors
from kvae.core.arrays import filled_examples, read_examples
from kvae.core.checks import check_sizes
from kvae.core.inputs import Inputs
from kvae.likelihoods import StudentT
from kvae.masks import MaskFamily, as_family, visible_shape
from kvae.model.defaults import check_resolution, near_unit
from kvae.model.vae import VAE
from kvae.objectives import IWAE, Completion, Objective


def completing_vae(
    x: Any,
    latent_dim: int = 16,
    masks: MaskFamily | str = "left_half",
    filters: tuple[int, ...] = (32, 64),
    units: tuple[int, ...] = (256,),
    *,
    objective: Objective | None = None,
    **parts: Any,
) -> VAE:
    """Builds a model of p(hidden | visible), with p(x|z, visible) and p(z|visible).

    The encoder sees all of x. The prior and the decoder see only the visible part. Train
    it with `fit(x)`, which draws new masks in each step, and then call
    `vae.complete(x, mask)`. For forecasts of series (N, T, F), pass masks="future" and
    data_kind="series", and call `vae.forecast(past)`.

    Args:
        x: (N, ...) training examples, in any units; or a dict with "x" and "mask", 1
            where x is observed.
        latent_dim: D, the number of latent dimensions.
        masks: a `kvae.masks` family, or its name, which says what it hides.
        filters: channels of the networks for images and series, from fine to coarse.
        units: widths of their dense layers.
        objective: the objective of the conditional model; the plain `ELBO` if None.
        **parts: further arguments of `VAE.for_data`.

    Raises:
        ValueError: if the masks don't fit x, a size is missing, or a condition is given.

    Source: Sohn, Lee, Yan 2015, "Learning structured output representation using deep
        conditional generative models"; Doersch 2016, arXiv:1606.05908, on completing
        half digits.
    """
    if parts.get("condition") is not None:
        raise ValueError(
            "completing_vae makes its condition, the visible part, from x; received "
            "another condition. Omit it."
        )
    if not filters or not units:
        raise ValueError(
            "completing_vae expects at least one number each; received "
            f"filters={filters!r}, units={units!r}. Try filters=(32, 64), units=(256,)."
        )
    filters = check_sizes("filters", filters, "Try (32, 64).")
    inputs = Inputs.of(x)
    known = np.asarray(inputs.x)
    if inputs.mask is not None:
        known = filled_examples(known, inputs.mask)
    shape = known.shape[1:]
    as_family(masks).num_uniforms(shape)  # raises for a shape that it can't mask
    seen = visible_shape(shape)
    latent_dim = getattr(parts.get("posterior"), "latent_dim", latent_dim)
    upwards = (*filters[::-1], max(8, filters[0] // 4))
    series = parts.get("data_kind") == "series" and len(shape) == 2
    if series:
        upwards = (*filters[::-1], filters[0])
    given = [name for name in ("encoder", "decoder", "prior") if name in parts]
    scaled = len(given) < 3 and not near_unit(known)
    if scaled:
        check_resolution(known)

    def visible() -> Any:
        """The layer that prepares the visible part, for each network its own."""
        if not scaled:
            return None
        layer = networks.StandardizeVisible(shape)
        layer.adapt(known)
        return layer

    chosen: dict[str, Callable[[], Any]] = {
        "encoder": lambda: lambda preprocess: networks.visible_encoder(
            shape, seen, filters, units, preprocess=preprocess if scaled else None,
            preprocess_visible=visible(), series=series,
        ),
        "decoder": lambda: networks.visible_decoder(
            latent_dim, shape, seen, upwards, units, preprocess_visible=visible(),
            series=series,
        ),
        "prior": lambda: priors.ConditionalNormal(
            latent_dim,
            networks.visible_network(
                seen, filters, units, preprocess_visible=visible(), series=series
            ),
        ),
    }  # fmt: skip
    made = {name: make() for name, make in chosen.items() if name not in parts}
    objective = Completion(objective, masks)
    return VAE.for_data(x, latent_dim, objective=objective, **made, **parts)


def miwae_imputer(
    x: Any,
    latent_dim: int = 16,
    *,
    num_samples: int = 20,
    units: tuple[int, ...] = (128, 128),
    **parts: Any,
) -> VAE:
    """Builds the MIWAE model for a table with missing entries.

    It has an importance-weighted bound on the observed entries, an encoder that sees the
    mean of the column for missing ones, and a Student-t likelihood whose scale depends on
    z. Its degrees of freedom, which depend on z in the paper, are one number per column
    here. Columns can be in any units. Call `fit({"x": x, "mask": mask})` and then
    `kvae.evaluation.impute`.

    Args:
        x: (N, D) the table; NaN where an entry is missing.
        latent_dim: number of latent dimensions.
        num_samples: K, latents in one bound.
        units: widths of the hidden layers of both networks.
        **parts: further arguments of `VAE.for_data`.

    Source: Mattei, Frellsen 2019, arXiv:1812.02633.
    """
    try:
        x = np.asarray(x, "float64")
    except (TypeError, ValueError, OverflowError):
        raise ValueError(
            "miwae_imputer takes a table of numbers; received text or categories. "
            "VAE.for_data(frame) takes them, and vae.impute(frame) fills them in."
        ) from None
    x = read_examples(np.ma.masked_invalid(x))
    latent_dim = getattr(parts.get("posterior"), "latent_dim", latent_dim)
    chosen: dict[str, Callable[[], Any]] = {
        "encoder": lambda: _prepared(x.shape[1:], units),
        "decoder": lambda: networks.mlp((latent_dim,), units, "tanh", role="decoder"),
        "likelihood": lambda: StudentT(
            x.shape[1:], df="per_dimension", scale="decoder"
        ),
        "objective": lambda: IWAE(num_samples),
    }
    made = {name: make() for name, make in chosen.items() if name not in parts}
    return VAE.for_data(x, latent_dim, **made, **parts)


def _prepared(shape: tuple[int, ...], units: tuple[int, ...]) -> Callable[[Any], Any]:
    return lambda preprocess: networks.mlp(shape, units, "tanh", preprocess=preprocess)
