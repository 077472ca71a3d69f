"""Parts that suit the data, chosen from its shape, dtype and range."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any

import keras
import numpy as np

from kvae.core.checks import check_latent_shape
from kvae.core.inputs import check_finite
from kvae.core.spread import Spread
from kvae.likelihoods import (
    Bernoulli,
    Columns,
    Likelihood,
    NegativeBinomial,
    Normal,
)
from kvae.model.conditions import list_classes
from kvae.model.default_networks import choose_latents, choose_networks
from kvae.model.part_kinds import check_kinds
from kvae.networks import OneHot, Standardize
from kvae.networks.call import takes_one_tensor
from kvae.posteriors import DiagonalNormal
from kvae.priors import ConditionalNormal
from kvae.tables import Schema

_MOST_CLASSES = 1000  # a longer one-hot vector would dwarf the features beside it
_DATA_KINDS = ("vectors", "images", "series")
_MOST_CHANNELS = 16  # of an array that is taken for images without `data_kind`


@dataclasses.dataclass(frozen=True)
class Choice:
    """The parts of a model, and why they suit the data.

    Attributes:
        parts: keyword arguments of `kvae.VAE`.
        reasons: in words, by name of the part; "x" says how the data were understood.
            Parts that were given have none.
    """

    parts: dict[str, Any]
    reasons: dict[str, str]

    def __str__(self) -> str:
        """Formats the choice as one line, for the terminal."""
        shape = "x".join(map(str, self.parts["posterior"].latent_shape))
        latents = f"{shape} latents"
        # Both networks have one reason, and the encoder's says more.
        left_out = "decoder" if "encoder" in self.reasons else ""
        words = [why for name, why in self.reasons.items() if name != left_out]
        return f"for_data: {'; '.join([*words, latents])}"


def choose_parts(
    x: Any,
    latent_dim: int | tuple[int, ...] | None,
    given: dict[str, Any],
    condition: Any = None,
    conditional_prior: bool = False,
    data_kind: str | None = None,
    schema: Schema | None = None,
    masked: bool = False,
) -> Choice:
    """Completes the constructor's arguments of a VAE for some data.

    Args:
        x: (N, ...) examples.
        latent_dim: D, the number of latent dimensions, or the shape (h, w, c) of one
            latent; a given posterior takes precedence.
        given: the parts that the user has chosen. An encoder may be a function, which
            is called with the layer that prepares x, or with None if x needs no
            preparation.
        condition: (N, ...) what x is conditioned on, or None.
        conditional_prior: learn p(z|c).
        data_kind: "vectors", "images" or "series"; None infers it from the data.
        schema: what the columns of x are, if it is a table.
        masked: whether entries of x are missing, of which an encoder for series is told.

    Returns:
        choice: parts and reasons.

    Raises:
        ValueError: if x is empty or not finite, its shape is ambiguous or fits no
            network, float32 can't resolve its units, or the condition does not fit x.
    """
    x = np.asarray(x)
    _check_array(x, data_kind)
    # An encoder may be a function here; a model checks it once it is made.
    early = set(given) & {"posterior", "likelihood", "prior", "objective"}
    check_kinds({name: given[name] for name in sorted(early)})
    shape = x.shape[1:]
    made = [name for name in ("encoder", "decoder") if name not in given]
    told = data_kind is not None
    if data_kind is None and (made or len(shape) == 1):
        data_kind = _data_kind(x)
    latent_dim = getattr(given.get("posterior"), "latent_shape", latent_dim)
    if latent_dim is None:
        # Parts that were given are for a vector, unless the posterior says otherwise.
        free = len(made) == 2 and "prior" not in given
        latent_dim = choose_latents(shape, data_kind if free else None)
    latents = check_latent_shape("for_data", latent_dim)
    parts: dict[str, Any] = {"posterior": DiagonalNormal(latents), **given}
    parts["data_kind"] = data_kind
    reasons = {"x": f"{len(x)} examples of shape {shape}"}
    if made and not told and len(shape) == 2:
        reasons["data_kind"] = (
            'arrays of two axes are taken for images; for series, pass data_kind="series"'
        )
    if schema is not None:
        parts = {"likelihood": Columns(schema.entries()), **parts, "schema": schema}
        reasons["x"] = f"{len(x)} rows of columns: {schema.summary()}"
        reasons["likelihood"] = "Columns likelihood, because x is a table"
    elif "likelihood" not in given:
        parts["likelihood"], reasons["likelihood"] = _likelihood(x, data_kind)
    if conditional_prior and (condition is None or "prior" in given):
        other = "a prior too" if "prior" in given else "no condition"
        raise ValueError(
            "conditional_prior=True learns p(z|c): it needs condition= and replaces "
            f"prior=; received {other}."
        )
    options, words = _condition(condition, len(x))
    if conditional_prior:
        network = OneHot(options["classes"]) if "classes" in options else None
        parts["prior"] = ConditionalNormal(latents, network)
        words += ", with a learned prior p(z|c)"
    preprocess = parts["likelihood"].preprocessing()
    if preprocess is not None:
        check_resolution(x)
    if made:
        suited = choose_networks(shape, data_kind, latents, masked)
        if "encoder" in made:
            parts["encoder"] = suited.encoder(preprocess=preprocess, **options)
            seen = "" if preprocess is None else f" of {preprocess}"
            reasons["encoder"] = f"{suited.what}{seen}, because {suited.why}"
        if "decoder" in made:
            parts["decoder"] = suited.decoder(math.prod(latents), **options)
            reasons["decoder"] = f"{suited.what}, because {suited.why}"
    if inspect.isfunction(parts["encoder"]):
        parts["encoder"] = parts["encoder"](preprocess)
    prepared = _adapt(parts["encoder"], x)
    if "encoder" in given and preprocess is not None and not prepared:
        reasons |= _note_of_raw(x)
    if len(latents) > 1 and "prior" not in parts:
        reasons["prior"] = (
            "StandardNormal prior for training; before sampling, fit one to the latents: "
            "kvae.fit_prior(vae, x, 'flow_matching')"
        )
    if made and condition is not None:
        taker = "both networks take" if len(made) == 2 else f"the {made[0]} takes"
        reasons["condition"] = f"{taker} a condition: {words}"
    elif condition is not None:
        _check_taken(parts)
    return Choice(parts, reasons)


def check_resolution(x: np.ndarray) -> None:
    """Raises for data whose differences are lost in float32.

    Args:
        x: (N, ...) examples.

    Raises:
        ValueError: if entries are far from 0 for their spread, or beyond what squares
            in float32 hold, with what to subtract or divide by.
    """
    spread = Spread.of(x)
    loc, scale = np.abs(spread.loc), spread.scale
    at = int(np.argmax(loc / scale))
    where = "x" if spread.shared else f"x[..., {at}]"
    far, near = spread.loc.flat[at], spread.scale.flat[at]
    if abs(far) * 2.0**-24 > 0.01 * near:
        raise ValueError(
            f"{where} has a mean of {far:.6g} and a spread of {near:.3g}, which "
            f"float32 can't resolve. Subtract {far:.6g} first, in float64."
        )
    if scale.min() < 1e-30 or scale.max() > 1e30:
        wrong = scale.min() if scale.min() < 1e-30 else scale.max()
        raise ValueError(
            f"x has a spread of {wrong:.3g}, beyond what float32 computes with. Divide it "
            f"by {wrong:.1g} first, in float64."
        )


def _check_taken(given: dict[str, Any]) -> None:
    """Raises if neither the user's networks nor the prior take a condition."""
    networks = [given["encoder"], given["decoder"]]
    if getattr(given.get("prior"), "conditional", False):
        return
    if all(takes_one_tensor(network) for network in networks):
        raise ValueError(
            "for_data received a condition, but the encoder and the decoder take "
            "none. Make them with condition_shape= or classes=, or leave out the "
            "condition."
        )


def condition_options(condition: Any) -> dict[str, Any]:
    """Chooses the arguments that make a network take conditions like these.

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
    """Returns the networks' arguments for a condition, and its description."""
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


def check_data_kind(data_kind: Any) -> str | None:
    """Returns the kind of the data, or raises ValueError if there is no such kind."""
    if data_kind not in (None, *_DATA_KINDS):
        raise ValueError(
            f"data_kind must be one of {', '.join(map(repr, _DATA_KINDS))}, or None to "
            f"infer it from the data; received {data_kind!r}."
        )
    return data_kind


def _check_array(x: np.ndarray, data_kind: str | None) -> None:
    """Raises for data that no model can learn from, whatever its parts."""
    check_data_kind(data_kind)
    least, most = {"vectors": (2, 99), "images": (3, 4), "series": (2, 3)}.get(
        data_kind or "", (2, 4)
    )
    if x.ndim == 0 and x.dtype.kind == "U":
        raise ValueError(
            f"for_data takes arrays; received the text {str(x)!r}. If it is a file or a "
            f"folder, read it with kvae.training.load_data({str(x)!r}).train, or train on "
            "it with kvae train --data."
        )
    if x.dtype.kind not in "fiub" or not least <= x.ndim <= most or x.size == 0:
        told = "" if data_kind is None else f", data_kind={data_kind!r}"
        raise ValueError(
            "for_data expects a filled array of numbers: (N, D) vectors, (N, H, W) or "
            "(N, H, W, C) images, or (N, T, F) series; received shape "
            f"{x.shape}, dtype {x.dtype}{told}."
        )
    check_finite(x)


def _data_kind(x: np.ndarray) -> str:
    """Tells vectors from images, or asks if the shape is ambiguous."""
    shape = x.shape[1:]
    if len(shape) == 1:
        return "vectors"
    axes = ", ".join(map(str, shape))
    if len(shape) == 2:
        height, width = shape
        pixels = x.dtype == np.uint8 or (x.min() >= 0 and x.max() <= 1)
        like_a_picture = min(shape) >= 8 and max(shape) <= 2 * min(shape)
        if height == width or (pixels and like_a_picture):
            return "images"
        raise ValueError(
            f"examples of shape ({axes}) may be images of {height} rows and {width} "
            f"columns, or series of {height} steps with {width} features. Say which: pass "
            'data_kind="images" or data_kind="series".'
        )
    height, width, channels = shape
    if min(width, channels) > 4 and (height <= 4 or height < width == channels):
        raise ValueError(
            f"examples of shape ({axes}) look like images with their {height} channels "
            "first. Channels come last: pass np.moveaxis(x, 1, -1). If these are images "
            f'of {height} rows with {channels} channels, pass data_kind="images".'
        )
    if channels > _MOST_CHANNELS:
        raise ValueError(
            f"examples of shape ({axes}) would be images with {channels} channels. If they "
            'are, pass data_kind="images"; if not, flatten them, '
            'x.reshape(len(x), -1), or pass data_kind="vectors".'
        )
    return "images"


def _likelihood(x: np.ndarray, data_kind: str | None) -> tuple[Likelihood, str]:
    """Chooses p(x|z) from the values of x."""
    shape = x.shape[1:]
    low, high = float(x.min()), float(x.max())
    if low >= 0 and high <= 1 and ((x == 0) | (x == 1)).all():
        return Bernoulli(shape), "Bernoulli likelihood, because all entries are 0 or 1"
    between = f"from {low:.4g} to {high:.4g}"
    whole = low >= 0 and high > 1 and bool((x == np.round(x)).all())
    if whole and data_kind != "images" and _look_counted(x):
        return NegativeBinomial(shape), (
            "NegativeBinomial likelihood, because entries are counts, whole numbers "
            f"{between}, most of them small"
        )
    levels = len(shape) > 1 or x.dtype in (np.uint8, np.uint16)
    if whole and x.dtype.kind in "iu" and not levels:
        raise ValueError(
            f"x holds integers {between}, which may be counts, levels, or class "
            "numbers. For counts, pass likelihood=kvae.likelihoods.NegativeBinomial("
            f"{shape}); for levels, floats, x.astype('float32'); for classes, "
            "likelihoods.Categorical or likelihoods.Columns."
        )
    numbers = "whole" if whole else "real"
    if data_kind == "vectors" and not Spread.of(x).shared:
        return Normal(shape, scale="per_dimension"), (
            "Normal likelihood with a learned scale for each column, because entries are "
            f"{numbers} numbers {between} and columns differ in their units"
        )
    return Normal(shape), (
        f"Normal likelihood with one learned scale, because entries are {numbers} numbers "
        f"{between}"
    )


def _look_counted(x: np.ndarray) -> bool:
    """Returns whether whole numbers look like counts: zeros, and few large ones.

    Gray levels reach the end of their range, and class numbers spread over all of
    theirs.
    """
    low, high = x.min(), x.max()
    upper_half, top = np.mean(x > 0.5 * high), np.mean(x > 0.75 * high)
    return bool(low == 0 and upper_half < 0.05 and top < 0.01)


def _adapt(encoder: Any, x: np.ndarray) -> bool:
    """Adapts the layers of an encoder that prepare x; False if it has none."""
    layers = encoder._flatten_layers() if isinstance(encoder, keras.Layer) else []
    found = [layer for layer in layers if isinstance(layer, Standardize)]
    for layer in found:
        layer.adapt(x)
    return bool(found)


def _note_of_raw(x: np.ndarray) -> dict[str, str]:
    """Notes that a given encoder sees data far from 0, or with a spread far from 1."""
    if near_unit(x):
        return {}
    return {
        "encoder": f"the given encoder sees x as it is, from {x.min():.4g} to "
        f"{x.max():.4g}, unless it scales x itself (see networks.Standardize)"
    }


def near_unit(x: np.ndarray) -> bool:
    """Returns whether networks learn from these data without standardizing."""
    spread = Spread.of(x)
    near = np.abs(spread.loc).max() <= 10
    return bool(near and 0.03 <= spread.scale.min() and spread.scale.max() <= 10)
