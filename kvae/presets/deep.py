"""Presets with more than one stochastic layer."""

from __future__ import annotations

import functools
from typing import Any

import keras

from kvae import networks, posteriors, priors
from kvae.core.arrays import read_examples
from kvae.core.checks import check_size, is_integer
from kvae.model.defaults import choose_parts, condition_options
from kvae.model.vae import VAE
from kvae.networks.call import declared_inputs
from kvae.objectives import ELBO
from kvae.objectives.weight import Schedule
from kvae.schedules import LinearWarmup


def ladder_vae(
    x: Any,
    latent_dim: int = 16,
    *,
    top_dim: int = 8,
    warmup_steps: int = 2000,
    **parts: Any,
) -> VAE:
    """Builds a ladder VAE (two stochastic layers, inferred from the top down).

    The decoder, also one that you pass, maps the `latent_dim` latents of the lower layer.
    The KL weight rises from 0 to 1 over `warmup_steps`, as in the paper. Without this,
    the upper layer often remains unused forever.

    Source: Sonderby et al. 2016, arXiv:1602.02282.
    """
    levels = (latent_dim, check_size("top_dim", top_dim))
    decoder = parts.pop("decoder", None)
    if decoder is None:
        given: dict[str, Any] = {
            name: parts[name] for name in ("encoder", "likelihood") if name in parts
        }
        condition, kind = parts.get("condition"), parts.get("data_kind")
        choice = choose_parts(x, latent_dim, given, condition, data_kind=kind)
        decoder = choice.parts["decoder"]
    z = keras.Input((sum(levels),), name="z")
    first = networks.TakeFirst(latent_dim)(z)
    if "condition" in (declared_inputs(decoder) or ()):
        taken = decoder.input["condition"]
        c = keras.Input(taken.shape[1:], dtype=taken.dtype, name="condition")
        inputs: Any = {"z": z, "condition": c}
        features = decoder({"z": first, "condition": c})
    else:
        inputs, features = z, decoder(first)
    lower = keras.Model(inputs, features, name="decoder")
    deep = {
        "decoder": lower,
        "posterior": posteriors.TopDown(levels),
        "prior": priors.Hierarchical(levels),
        "objective": ELBO(LinearWarmup(warmup_steps), kl="sampled"),
    }
    return VAE.for_data(x, sum(levels), **{**deep, **parts})


def deep_vae(
    x: Any,
    levels: dict[Any, int] | None = None,
    *,
    latent_channels: int | tuple[int, ...] = 8,
    width: int | tuple[int, ...] = 64,
    blocks: int = 2,
    features: int = 16,
    squeeze: int = 2,
    residual: bool = True,
    beta: float | Schedule = 1.0,
    **parts: Any,
) -> VAE:
    """Builds a deep VAE: levels of maps of latents at several sizes, from the top down.

    The encoder gives a map of features for each size. The decoder is a trunk of residual
    blocks through which prior, posterior, and likelihood pass together, once per step.
    `fit` reports the rate of each size, such as `rate_7x7`.

    Args:
        x: (N, H, W) or (N, H, W, C) training examples.
        levels: stochastic levels by the height of their maps, such as {1: 2, 4: 3, 7:
            4}. Heights are those that halving the picture gives, rounding up. None takes
            one level on the map of one position, and two on each of the larger ones up
            to a quarter of the picture.
        latent_channels: latents at each position, one number for all sizes or one for
            each, the smallest map first.
        width: channels of the hidden maps, likewise.
        blocks: residual blocks of the encoder at each size.
        features: channels at full size, which the likelihood reads.
        squeeze: factor between the width and the channels inside a block.
        residual: whether the posterior is relative to the prior.
        beta: weight of the rate, a number or a schedule such as `LinearWarmup(5000)`.
        **parts: further arguments of `VAE.for_data`, such as `likelihood`. With
            `condition`, prior and decoder depend on it at every size of maps, with or
            without `conditional_prior`; arrays are read flat.

    Raises:
        ValueError: if x are not pictures, halving them doesn't give these heights, or
            the condition does not fit x.

    Source: Sonderby et al. 2016, arXiv:1602.02282; Kingma et al. 2016, arXiv:1606.04934;
        Child 2020, arXiv:2011.10650; the residual posterior of Vahdat, Kautz 2020,
        arXiv:2007.03898.
    """
    options: dict[str, Any] = {}
    if (condition := parts.get("condition")) is not None:
        options = condition_options(condition)
        parts.pop("conditional_prior", None)  # the trunk computes both
    x = read_examples(x)
    shape = tuple(x.shape[1:])
    sizes = _levels(shape, levels)
    decoder = networks.TopDownTrunk(
        shape,
        sizes,
        latent_channels,
        width,
        features=features,
        squeeze=squeeze,
        **options,
    )
    encoder = functools.partial(
        networks.bottom_up_encoder,
        shape,
        sizes,
        width,
        blocks,
        squeeze=squeeze,
        **options,
    )
    posterior = posteriors.TopDownMaps(
        sizes,
        latent_channels,
        width,
        residual=residual,
        squeeze=squeeze,
        condition_dim=decoder.condition_dim,
    )
    return VAE.for_data(
        x,
        encoder=lambda preprocess: encoder(preprocess=preprocess),
        decoder=decoder,
        posterior=posterior,
        prior=priors.HierarchicalMaps(decoder.latent_dim),
        **{"objective": ELBO(beta), **parts},
    )


def _levels(
    shape: tuple[int, ...], levels: dict[Any, int] | None
) -> tuple[tuple[int, int, int], ...]:
    """Reads levels by their height: (height, width, count) of each size."""
    if len(shape) not in (2, 3):
        raise ValueError(
            "deep_vae takes pictures (N, H, W) or (N, H, W, C); received examples of "
            f"shape {shape}. ladder_vae takes vectors."
        )
    sizes = [(shape[0], shape[1])]
    while sizes[-1] != (1, 1):
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    by_height = {height: (height, width) for height, width in reversed(sizes)}
    if levels is None:
        most = -(-shape[0] // 4)
        levels = {height: 1 + (height > 1) for height in by_height if height <= most}
    if not isinstance(levels, dict) or not levels:
        raise ValueError(
            "levels must be a dict from the height of maps to the number of levels, such "
            f"as {{1: 2, 4: 3, 7: 4}}; received {levels!r}."
        )
    # Keys of a recipe are strings.
    counts = {
        int(key) if isinstance(key, str) and key.isdigit() else key: count
        for key, count in levels.items()
    }
    for height, count in counts.items():
        if height not in by_height or not is_integer(height):
            reached = ", ".join(map(str, by_height))
            raise ValueError(
                f"halving pictures of {shape[0]}x{shape[1]} gives maps of height "
                f"{reached}; received levels={levels!r}."
            )
        check_size("levels", count)
    return tuple((*by_height[height], counts[height]) for height in sorted(counts))
