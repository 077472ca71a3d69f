"""Pictures of the latent space, as arrays."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_number, check_vae, is_count
from kvae.evaluation.encodings import encodings
from kvae.evaluation.examples import prepare
from kvae.model.walks import decode_means
from kvae.priors import UniformSphere


@dataclasses.dataclass(frozen=True)
class LatentMap:
    """The positions of the examples in two dimensions.

    Attributes:
        points: (N, 2).
        axes: (2, D) the directions shown.
        explained: share of the variance of the posterior means that the two show.
        axis_names: what the two are.
    """

    points: np.ndarray
    axes: np.ndarray
    explained: float
    axis_names: tuple[str, str]


def latent_map(vae: Any, x: Any, *, seed: int = 0) -> LatentMap:
    """Places each example's posterior mean on a plane.

    Two latent dimensions are shown as they are. If there are more, the axes are the two
    directions along which the posterior means vary most (principal components).

    Args:
        vae: a `kvae.VAE` with at least 2 latent dimensions.
        x: (N, *data_shape), or a dict with "x" and optionally "condition" and "mask".
        seed: unused noise of the encoder's draws; the map is of means.

    Returns:
        map: points and axes.

    Raises:
        ValueError: if the data do not fit or the latent space is a line.
    """
    check_vae(vae)
    if vae.latent_dim < 2:
        raise ValueError(
            "a map needs at least 2 latent dimensions; the model has 1. Use "
            "traversals instead."
        )
    means = encodings(vae, x, seed).mean.astype("float64")
    if vae.latent_dim == 2:
        return LatentMap(means, np.eye(2), 1.0, ("z[0]", "z[1]"))
    centered = means - means.mean(0)
    # With one example, any second direction will do.
    _, sizes, directions = np.linalg.svd(centered, full_matrices=len(centered) < 2)
    total = float(np.square(sizes).sum())
    axes = directions[:2]
    # The sign of a direction is arbitrary: fix it, so that a map can be repeated.
    axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])[:, None]
    explained = float(np.square(sizes[:2]).sum()) / total if total > 0 else 0.0
    names = ("first principal component", "second principal component")
    return LatentMap(centered @ axes.T, axes, explained, names)


def traversals(
    vae: Any,
    x: Any,
    dimensions: Any = None,
    num_steps: int = 9,
    span: float = 2.5,
    *,
    condition: Any = None,
    mask: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Decodes what changes when one latent moves and the others stay.

    Args:
        vae: a `kvae.VAE`.
        x: (*data_shape) one example, or (1, *data_shape); its posterior mean is the
            starting point.
        dimensions: which latents to move; those with the largest posterior-mean scale
            are a good choice; all if None.
        num_steps: pictures per latent.
        span: from -span to span, in the units of z. On the unit sphere z is scaled back
            to length 1 after the move.
        condition: (1, ...) the c of p(x|z,c), or None.
        mask: in the shape of x, 1 where it is observed; None if it is observed
            everywhere.

    Returns:
        images: (len(dimensions), num_steps, *data_shape) means of p(x|z).
        steps: (num_steps,) the values of the moved latent.

    Raises:
        ValueError: if the example does not fit or a dimension does not exist.
    """
    check_vae(vae)
    shape = (1, *vae.data_shape)
    data = {"x": _one(x, shape)}
    if condition is not None:
        data["condition"] = condition
    if mask is not None:
        data["mask"] = _one(mask, shape)
    prepare(vae, data)
    dimensions = range(vae.latent_dim) if dimensions is None else dimensions
    chosen = np.atleast_1d(np.asarray(dimensions)).tolist()
    for dimension in chosen:
        if not is_count(dimension, 0) or dimension >= vae.latent_dim:
            raise ValueError(
                f"latent dimension {dimension!r} does not exist: the model has "
                f"{vae.latent_dim}, counted from 0."
            )
    span = check_number("span", span, 0)
    steps = np.linspace(-span, span, check_count("num_steps", num_steps, 2))
    z = np.tile(encodings(vae, data).mean, (len(chosen) * num_steps, 1))
    for row, dimension in enumerate(chosen):
        z[row * num_steps : (row + 1) * num_steps, dimension] = steps
    if vae.prior.space == UniformSphere.space:
        z /= np.linalg.norm(z, axis=1, keepdims=True)
    if condition is not None:
        condition = np.repeat(np.asarray(condition)[:1], len(z), axis=0)
    images = decode_means(vae, z, condition)
    return images.reshape(len(chosen), num_steps, *vae.data_shape), steps


def latent_grid(vae: Any, num_steps: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Decodes a plane of latents at evenly spaced quantiles of the standard normal.

    Args:
        vae: a `kvae.VAE` with 2 latent dimensions and no condition.
        num_steps: pictures along each side.

    Returns:
        images: (num_steps, num_steps, *data_shape): z[0] grows along the second axis,
            z[1] falls along the first, as in a plot.
        steps: (num_steps,) the values that each latent takes.

    Raises:
        ValueError: if the model has another number of latent dimensions, or they are not
            all of R^2.
    """
    check_vae(vae)
    if vae.prior.space != "R^D":
        raise ValueError(
            f"a grid covers R^2; the latents of this model are on {vae.prior.space}. "
            "Use traversals instead."
        )
    if vae.latent_dim != 2:
        raise ValueError(
            f"a grid covers 2 latent dimensions; the model has {vae.latent_dim}. Use "
            "traversals instead."
        )
    check_count("num_steps", num_steps, 2)
    normal = statistics.NormalDist()
    steps = np.array([normal.inv_cdf((i + 0.5) / num_steps) for i in range(num_steps)])
    across, up = np.meshgrid(steps, steps[::-1])
    images = decode_means(vae, np.stack([across.ravel(), up.ravel()], axis=1))
    return images.reshape(num_steps, num_steps, *vae.data_shape), steps


def _one(x: Any, shape: tuple[int, ...]) -> np.ndarray:
    x = np.asarray(x)
    if x.shape == shape[1:]:
        return x.reshape(shape)
    return x[:1] if x.ndim else x  # which the model refuses
