"""Parts that suit the data, chosen from its shape, dtype and range."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from kvae.core.inputs import check_finite
from kvae.likelihoods import Bernoulli, Likelihood, Normal
from kvae.model.conditions import list_classes
from kvae.networks import OneHot, conv_decoder, conv_encoder, mlp
from kvae.networks.call import takes_one_tensor
from kvae.posteriors import DiagonalNormal
from kvae.priors import ConditionalNormal

_LOG = logging.getLogger("kvae")


_MOST_CLASSES = 1000  # a one-hot vector of more would dwarf the features beside it


def choose_parts(
    x: Any,
    latent_dim: int,
    given: dict[str, Any],
    condition: Any = None,
    conditional_prior: bool = False,
) -> dict[str, Any]:
    """Completes the constructor's arguments of a VAE for some data.

    Args:
        x: (N, ...) examples.
        latent_dim: D, the number of latent dimensions; a given posterior's own wins.
        given: what the user has chosen.
        condition: (N, ...) what x is conditioned on, or None.
        conditional_prior: learn p(z|c).

    Returns:
        parts: keyword arguments of `kvae.VAE`.

    Raises:
        ValueError: if x is empty, not finite, or of a shape that no network fits, or the
            condition does not fit x.
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
    if "likelihood" not in given:
        parts["likelihood"], why = _likelihood(x, shape)
        name = type(parts["likelihood"]).__name__
        _LOG.info("for_data: %s likelihood, because %s", name, why)
    if conditional_prior and (condition is None or "prior" in given):
        other = "a prior too" if "prior" in given else "no condition"
        raise ValueError(
            "conditional_prior=True learns p(z|c): it needs condition= and takes the place "
            f"of prior=; received {other}."
        )
    options, words = _condition(condition, len(x))
    if conditional_prior:
        network = OneHot(options["classes"]) if "classes" in options else None
        parts["prior"] = ConditionalNormal(latent_dim, network)
        words += ", with a learned prior p(z|c)"
    if len(shape) == 1:
        networks = "dense networks, because examples are vectors"
        parts["encoder"] = mlp(shape, (512, 256), **options)
        parts["decoder"] = mlp((latent_dim,), (256, 512), role="decoder", **options)
    else:
        networks = "convolutional networks, because examples are images"
        parts["encoder"] = conv_encoder(shape, **options)
        parts["decoder"] = conv_decoder(latent_dim, shape, **options)
    if made := sorted({"encoder", "decoder"} - set(given)):
        _LOG.info("for_data: %s", networks)
        if condition is not None:
            taker = "both networks take" if len(made) == 2 else f"the {made[0]} takes"
            _LOG.info("for_data: %s a condition: %s", taker, words)
    elif condition is not None:
        _check_taken(given)
    return {**parts, **given}


def _check_taken(given: dict[str, Any]) -> None:
    """Raises if neither network nor prior of a user's own takes a condition."""
    networks = [given["encoder"], given["decoder"]]
    if getattr(given.get("prior"), "conditional", False):
        return
    if all(takes_one_tensor(network) for network in networks):
        raise ValueError(
            "for_data received a condition, and an encoder and a decoder that take none. "
            "Make them with condition_shape= or classes=, or leave the condition out."
        )


def condition_options(condition: Any) -> dict[str, Any]:
    """Says by which arguments a network takes conditions like these.

    Args:
        condition: (N,) integers are labels; other numbers, (N, ...), are vectors, images
            or single numbers.

    Returns:
        options: `classes` or `condition_shape` of a function of `kvae.networks`.

    Raises:
        ValueError: if the condition is empty, not finite, or holds no numbers.
    """
    array = np.asarray(condition)
    if array.dtype.kind not in "fiub" or array.ndim == 0 or len(array) == 0:
        raise ValueError(
            "condition must be a filled array of numbers, labels (N,) as integers; "
            f"received shape {array.shape}, dtype {array.dtype}. For names, use "
            "np.unique(names, return_inverse=True)[1]."
        )
    check_finite(array, name="condition")
    if array.ndim > 1 or array.dtype.kind == "f":
        return {"condition_shape": array.shape[1:]}
    classes = tuple(map(int, np.unique(array)))
    if len(classes) > _MOST_CLASSES:
        raise ValueError(
            f"condition holds {len(classes)} different integers, too many for classes. "
            "If they are quantities, pass them as floats."
        )
    return {"classes": classes}


def _condition(condition: Any, num: int) -> tuple[dict[str, Any], str]:
    """The networks' arguments for a condition, and what the log says of it."""
    if condition is None:
        return {}, ""
    options = condition_options(condition)
    if len(condition) != num:
        raise ValueError(
            f"x and condition must have one row per example; received {num} and "
            f"{len(condition)}."
        )
    if "classes" in options:
        classes = options["classes"]
        listed = list_classes(classes)
        kind = f"{len(classes)} classes, {listed}, because it holds integers"
    else:
        kind = f"numbers of shape {options['condition_shape']}"
    return options, kind


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
