"""Parts that suit the data, chosen from its shape, dtype and range."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from kvae.inputs import check_finite
from kvae.likelihoods import Bernoulli, Likelihood, Normal
from kvae.networks import conv_decoder, conv_encoder, mlp
from kvae.posteriors import DiagonalNormal

_LOG = logging.getLogger("kvae")


def choose_parts(x: Any, latent_dim: int, given: dict[str, Any]) -> dict[str, Any]:
    """Completes the constructor's arguments of a VAE for some data.

    Args:
        x: (N, ...) examples.
        latent_dim: D, the number of latent dimensions; a given posterior's own wins.
        given: what the user has chosen.

    Returns:
        parts: keyword arguments of `kvae.VAE`.

    Raises:
        ValueError: if x is empty, not finite, or of a shape that no network fits.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or x.ndim not in (2, 3, 4) or len(x) == 0:
        raise ValueError(
            "for_data expects a filled array of numbers: (N, D) vectors, (N, H, W) or "
            f"(N, H, W, C) images; received shape {x.shape}, dtype {x.dtype}."
        )
    check_finite(x)
    shape = x.shape[1:]
    latent_dim = getattr(given.get("posterior"), "latent_dim", latent_dim)
    parts: dict[str, Any] = {"posterior": DiagonalNormal(latent_dim)}
    parts["likelihood"], why = _likelihood(x, shape)
    if len(shape) == 1:
        networks = "dense networks, because examples are vectors"
        parts["encoder"] = mlp(shape, (512, 256))
        parts["decoder"] = mlp((latent_dim,), (256, 512), role="decoder")
    else:
        networks = "convolutional networks, because examples are images"
        parts["encoder"] = conv_encoder(shape)
        parts["decoder"] = conv_decoder(latent_dim, shape)
    if not {"encoder", "decoder"} <= set(given):
        _LOG.info("for_data: %s", networks)
    if "likelihood" not in given:
        _LOG.info(
            "for_data: %s likelihood, because %s",
            type(parts["likelihood"]).__name__,
            why,
        )
    return {**parts, **given}


def _likelihood(x: np.ndarray, shape: tuple[int, ...]) -> tuple[Likelihood, str]:
    low, high = float(x.min()), float(x.max())
    if x.dtype.kind in "iu" and high > 1:
        raise ValueError(
            f"for_data received integers from {low:g} to {high:g}. Scale images first, "
            "x / 255.0, or pass likelihood= for counts."
        )
    if low < 0 or high > 1:
        return Normal(shape), f"entries range from {low:.3g} to {high:.3g}"
    extreme = float(np.mean((x < 0.1) | (x > 0.9)))
    if extreme == 1.0 and ((x == 0) | (x == 1)).all():
        return Bernoulli(shape), "all entries are 0 or 1"
    if extreme > 0.4:
        return Bernoulli(shape), (
            f"{extreme:.0%} of the entries are within 0.1 of 0 or 1; grey ones are read as "
            "probabilities"
        )
    return Normal(shape), f"entries fill [0, 1] ({extreme:.0%} near its ends)"
