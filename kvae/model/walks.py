"""Walks through the latents: from one example to another, and along an attribute."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from kvae.core.batches import map_batches
from kvae.core.checks import check_count, check_vae
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor

_PATHS = ("straight", "spherical")
_PARALLEL = 1e-6  # radians between two latents below which their arc is a straight line
_BATCH = 512


def interpolate(
    vae: Any,
    a: Any,
    b: Any,
    num: int = 9,
    *,
    path: str = "straight",
    condition: Any = None,
) -> np.ndarray:
    """Decodes the latents between two examples.

        straight:   z(t) = (1 - t) z_a + t z_b
        spherical:  z(t) = (sin((1 - t) w) z_a + sin(t w) z_b) / sin(w)

    for t from 0 to 1, where z_a and z_b are the posterior means and w is the angle between
    them. The first and the last picture are the reconstructions of a and b. In many
    dimensions the middle of a straight path is closer to the origin than almost any draw
    of N(0, I); an arc keeps the distance.

    Args:
        vae: a `kvae.VAE`.
        a: where the path starts: one example of shape data_shape, or (N, *data_shape).
        b: where the path ends; the same shape as a.
        num: pictures per path, both ends included; at least 2.
        path: "straight" or "spherical". On a sphere every path is an arc.
        condition: the c of q(z|x,c) and p(x|z,c): one for all, or (N, ...). None if
            the model takes no condition.

    Returns:
        x: (num, *data_shape), or (N, num, *data_shape), in the units of the data.

    Raises:
        ValueError: if a, b or the condition do not fit the model or one another, `num` or
            `path` is invalid, or two latents are opposite, so that no arc is shortest.

    Source: White 2016, arXiv:1609.04468, section 2.1, for the arc.
    """
    if check_count("num", num) < 2:
        raise ValueError(f"num must be at least 2, for both ends; received {num}.")
    if not isinstance(path, str) or path not in _PATHS:
        raise ValueError(f"path must be one of {', '.join(_PATHS)}; received {path!r}.")
    starts, alone = _examples(vae, a)
    ends, _ = _examples(vae, b)
    if np.shape(a) != np.shape(b):
        raise ValueError(
            "a and b must have the same shape; received "
            f"{np.shape(a)} and {np.shape(b)}."
        )
    condition = _conditions(vae, condition, len(starts))
    z_a, z_b = (
        _embed(vae, examples, condition).astype("float64")
        for examples in (starts, ends)
    )
    t = np.linspace(0.0, 1.0, num)[None, :, None]
    if path == "spherical" or vae.posterior.space != "R^D":
        z = _arc(z_a[:, None], z_b[:, None], t)
    else:
        z = (1.0 - t) * z_a[:, None] + t * z_b[:, None]
    x = _decode_each(vae, z, condition)
    return x[0] if alone else x


@dataclasses.dataclass(frozen=True, eq=False)
class AttributeVectors:
    """Directions in the latents, one for each attribute of the data.

    Attributes:
        vae: the model they belong to.
        names: of the A attributes.
        vectors: (A, *latent_shape); a step of length 1 along vector i is the difference
            between the average example with attribute i and the average one without it.
        counts: (A,) examples with the attribute.
    """

    vae: Any
    names: tuple[str, ...]
    vectors: np.ndarray
    counts: np.ndarray

    def apply(
        self, x: Any, name: Any, strength: Any = 1.0, *, condition: Any = None
    ) -> np.ndarray:
        """Decodes examples with more or less of an attribute.

            x' = mean of p(x|z + strength * v),  z the posterior mean of x

        Args:
            x: one example of shape data_shape, or (N, *data_shape).
            name: of the attribute.
            strength: how much of it to add: a number, or S numbers for S pictures of
                each example. 0 gives the reconstruction, and negative numbers subtract.
            condition: the c of q(z|x,c) and p(x|z,c); None if the model takes none.

        Returns:
            x: of the shape of x, or with S strengths (S, *data_shape) for one example and
                (N, S, *data_shape) for several.

        Raises:
            ValueError: if the attribute is unknown, a strength is not a finite number, or
                x or the condition does not fit the model.
        """
        if str(name) not in self.names:
            raise ValueError(
                f"the attributes are {', '.join(self.names)}; received {name!r}."
            )
        strengths = np.asarray(strength)
        if (
            strengths.dtype.kind not in "iuf"
            or strengths.ndim > 1
            or not strengths.size
        ):
            raise ValueError(
                "strength must be a number or a list of numbers; received "
                f"{strength!r}."
            )
        if not np.isfinite(strengths).all():
            raise ValueError(f"strength must be finite; received {strength!r}.")
        examples, alone = _examples(self.vae, x)
        condition = _conditions(self.vae, condition, len(examples))
        z = _embed(self.vae, examples, condition)
        vector = self.vectors[self.names.index(str(name))].reshape(-1)
        steps = np.atleast_1d(strengths).astype("float64")[None, :, None]
        pictures = _decode_each(self.vae, z[:, None] + steps * vector, condition)
        if not strengths.ndim:
            pictures = pictures[:, 0]
        return pictures[0] if alone else pictures


def attribute_vectors(
    vae: Any, x: Any, labels: Any, *, names: Any = None, condition: Any = None
) -> AttributeVectors:
    """Finds the direction in the latents in which each attribute grows.

        v = mean of z over examples with the attribute - mean of z over the others

    where z is the posterior mean. For example:

        smile = kvae.attribute_vectors(vae, faces, smiling, names=["smile"])
        row = smile.apply(faces[0], "smile", [-1, 0, 1, 2])

    Attributes that occur together in the data share part of their directions.

    Args:
        vae: a trained `kvae.VAE` whose latents are in R^D.
        x: (N, *data_shape).
        labels: (N,) class labels, which give one attribute per class, or (N, A) of zeros
            and ones, 1 where the example has the attribute. One column of zeros and ones
            (N,) with `names=["smile"]` is one attribute.
        names: of the A attributes; by default the labels, or the column numbers, or the
            columns of a data frame.
        condition: (N, ...) the c of q(z|x,c); None if the model takes none.

    Returns:
        vectors: what `AttributeVectors` documents.

    Raises:
        ValueError: if labels do not fit x, an attribute is on or off for all examples, or
            the latents are on a sphere, where a difference is not a direction.

    Source: the latent arithmetic of Larsen et al. 2016, arXiv:1512.09300, and Hou et al.
        2017, arXiv:1610.00291.
    """
    check_vae(vae)
    if vae.posterior.space != "R^D":
        raise ValueError(
            f"attribute vectors are differences of latents in R^D; the latents of this "
            f"model are on {vae.posterior.space}."
        )
    if names is None:
        names = getattr(labels, "columns", None)
    has, names = _attributes(np.asarray(labels), names)
    examples, _ = _examples(vae, x)
    if len(has) != len(examples):
        raise ValueError(
            f"labels must have one row for each of the {len(examples)} examples; received "
            f"{len(has)}."
        )
    counts = has.sum(0)
    for name, count in zip(names, counts, strict=True):
        if count in (0, len(has)):
            whose = "no example has" if not count else "all examples have"
            raise ValueError(
                f"{whose} the attribute {name!r}, so it has no direction. Leave it out, "
                "or add examples of the other kind."
            )
    z = _embed(vae, examples, _conditions(vae, condition, len(examples)))
    z = z.astype("float64")
    on = has.T.astype("float64") @ z / counts[:, None]
    off = (~has).T.astype("float64") @ z / (len(has) - counts)[:, None]
    vectors = (on - off).reshape(len(names), *vae.latent_shape)
    return AttributeVectors(vae, names, vectors, counts)


def decode_means(vae: Any, z: Any, condition: Any = None) -> np.ndarray:
    """Decodes latents in batches: the mean of p(x|z), (N, *data_shape).

    Args:
        vae: a built `kvae.VAE`.
        z: (N, D) latents, flat.
        condition: (N, ...) the c of p(x|z,c), checked; None without.
    """
    inputs = Inputs(np.asarray(z, vae.maths_dtype), condition)
    run = vae.compiled_functions.get(functools.partial(_decode, vae))
    x: np.ndarray = map_batches(run, inputs, _BATCH)
    return x


def _decode(vae: Any, batch: dict[str, Tensor], first: Tensor) -> Tensor:
    del first
    params = vae.likelihood_params(batch["x"], batch.get("condition"))
    return vae.likelihood.mean(params)


def _decode_each(vae: Any, z: np.ndarray, condition: Any) -> np.ndarray:
    """Decodes (N, S, D) latents, S for each example: (N, S, *data_shape)."""
    count, steps, dim = z.shape
    if condition is not None:
        condition = np.repeat(condition, steps, axis=0)
    x = decode_means(vae, z.reshape(count * steps, dim), condition)
    return x.reshape(count, steps, *vae.data_shape)


def _examples(vae: Any, x: Any) -> tuple[np.ndarray, bool]:
    """Returns x as (N, *data_shape), and whether it was one example."""
    check_vae(vae)
    x, shape = np.asarray(x), tuple(vae.data_shape)
    if x.shape == shape:
        return x[None], True
    if x.shape[1:] != shape or not len(x):
        raise ValueError(
            f"expected one example of shape {shape}, or several, (N, "
            f"{', '.join(map(str, shape))}); received shape {x.shape}."
        )
    return x, False


def _conditions(vae: Any, condition: Any, num: int) -> Any:
    if condition is None or vae.condition is None:
        return condition  # what does not fit is refused by `embed`
    return vae.condition.broadcast(condition, num)


def _embed(vae: Any, x: np.ndarray, condition: Any) -> np.ndarray:
    data = {"x": x} if condition is None else {"x": x, "condition": condition}
    return np.asarray(vae.embed(data)).reshape(len(x), -1)


def _arc(z_a: np.ndarray, z_b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of the arc between latents: (N, num, D)."""
    lengths = [np.linalg.norm(z, axis=-1, keepdims=True) for z in (z_a, z_b)]
    units = [
        z / np.maximum(length, 1e-12)
        for z, length in zip((z_a, z_b), lengths, strict=True)
    ]
    # Of the half angle, which loses no digits where two latents nearly agree.
    apart, between = (
        np.linalg.norm(units[0] + sign * units[1], axis=-1) for sign in (-1, 1)
    )
    angle = 2.0 * np.arctan2(apart, between)[..., None]
    if (angle > np.pi - 1e-3).any():
        raise ValueError(
            "two latents are on opposite sides of the origin, so no arc between them is "
            'shortest. Use path="straight", or go through a third example.'
        )
    sine = np.sin(np.maximum(angle, _PARALLEL))
    arc = (np.sin((1.0 - t) * angle) * z_a + np.sin(t * angle) * z_b) / sine
    return np.where(angle > _PARALLEL, arc, (1.0 - t) * z_a + t * z_b)


def _attributes(labels: np.ndarray, names: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads labels as (N, A) of booleans and the names of the columns."""
    if names is not None and not np.iterable(names):
        raise TypeError(f"names must be a list of names; received {names!r}.")
    given = None if names is None else tuple(map(str, names))
    if labels.ndim == 1 and given is not None and len(given) == 1:
        labels = labels[:, None]
    if labels.ndim == 1:
        try:
            classes = np.unique(labels)
        except TypeError:
            raise TypeError(
                "labels must be all numbers or all text; received a mixture of types."
            ) from None
        has, found = labels[:, None] == classes, tuple(map(str, classes))
    elif labels.ndim == 2 and np.isin(labels, (0, 1)).all():
        has, found = labels.astype(bool), tuple(map(str, range(labels.shape[1])))
    else:
        raise ValueError(
            "labels must be (N,) classes, or (N, A) of zeros and ones; received "
            f"{labels.dtype} of shape {labels.shape}."
        )
    if given is not None and len(given) != len(found):
        raise ValueError(
            f"names must hold a name for each of the {len(found)} attributes; received "
            f"{len(given)}."
        )
    return has, found if given is None else given
