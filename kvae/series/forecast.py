"""Forecasts: the future of series, drawn given their past."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.completion import complete
from kvae.core.checks import check_count, check_vae
from kvae.core.inputs import Inputs


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Several futures of each series.

    Attributes:
        draws: (N, num, steps, F), or (N, num, steps) for series without features.
        effective_sample_size: (N,) how many latents had any weight; see
            `kvae.completion.Completions`.
    """

    draws: np.ndarray
    effective_sample_size: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean of the draws, (N, steps, F)."""
        return np.asarray(self.draws.mean(axis=1))

    def quantile(self, q: Any) -> np.ndarray:
        """Computes quantiles of the draws at each step.

        Args:
            q: probabilities, a number or several; (0.05, 0.95) gives a band of 90 %.

        Returns:
            quantiles: (N, steps, F) for each.
        """
        return np.asarray(np.quantile(self.draws, q, axis=1))


def forecast(
    vae: Any,
    past: Any,
    steps: int | None = None,
    num: int = 100,
    seed: int = 0,
    num_candidates: int = 1024,
    batch_size: int = 512,
) -> Forecast:
    """Draws futures from p(future | past), several of each series.

    The past fills the first steps of a window as the model knows it, and `complete` draws
    the others. If the past is longer than that leaves room for, its last steps are used.

    Args:
        vae: a `kvae.VAE` of series (T, F) or (T,).
        past: (N, P, F) or (N, P) what is known of each series, NaN where it is missing;
            or a dict with "x" and optionally "condition" and "mask".
        steps: how far to look ahead, less than T; T - P if None.
        num: futures of each series.
        seed: of the draws.
        num_candidates: latents among which to choose; see `complete`.
        batch_size: the maximum number of series per pass.

    Returns:
        forecast: draws, with their mean and quantiles.

    Raises:
        ValueError: if the past doesn't fit the model, or leaves no step to forecast.
    """
    check_vae(vae)
    batch_size = check_count("batch_size", batch_size)
    length, *features = vae.data_shape
    inputs = Inputs.of(past)
    x = np.asarray(inputs.x)
    if x.ndim != len(vae.data_shape) + 1 or x.shape[2:] != (*features,):
        raise ValueError(
            f"the model takes series of shape {vae.data_shape}, so the past has the shape "
            f"(N, P{', ' if features else ''}{', '.join(map(str, features))}); received "
            f"{x.shape}."
        )
    if x.dtype.kind not in "fiub":
        raise ValueError(f"past must hold numbers; received dtype={x.dtype}.")
    if steps is None and x.shape[1] >= length:
        raise ValueError(
            f"the past has {x.shape[1]} steps, as long as the model's {length} or longer. "
            "Say how many steps to forecast with steps=; the last ones before them are "
            "used."
        )
    steps = length - x.shape[1] if steps is None else check_count("steps", steps)
    if steps >= length:
        raise ValueError(
            f"steps must be less than the {length} steps of the model's series, to leave "
            f"room for the past; received {steps}."
        )
    kept = min(x.shape[1], length - steps)
    x = x[:, x.shape[1] - kept :].astype("float32")
    known = np.isfinite(x)
    if inputs.mask is not None:
        given = np.asarray(inputs.mask)
        known &= given[:, given.shape[1] - kept :].astype(bool)
    mask = np.zeros((len(x), *vae.data_shape), "float32")
    mask[:, :kept] = known
    window = np.zeros(mask.shape, "float32")
    window[:, :kept] = np.where(known, x, 0)
    data = {"x": window, "mask": mask}
    if inputs.condition is not None:
        data["condition"] = np.asarray(inputs.condition)
    found = complete(
        vae, data, num=num, seed=seed, num_candidates=num_candidates, mean=False,
        batch_size=batch_size,
    )  # fmt: skip
    return Forecast(found.x[:, :, kept : kept + steps], found.effective_sample_size)
