"""The part of a report that shows series: samples, reconstructions, and forecasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from kvae.core.inputs import Inputs
from kvae.objectives import is_completing
from kvae.reports.page import Page
from kvae.reports.pictures import figure_png, new_plots

_EXAMPLES = 3  # drawn one by one
_FEATURES = 4  # drawn of each
_DRAWS = 100
_FUTURE = 0.25  # of the steps, hidden to show a forecast
_REAL, _DRAWN = "#3b6ea5", "#d98032"
_BAND = (0.05, 0.5, 0.95)


def add_series(page: Page, vae: Any, inputs: Inputs, seed: int) -> None:
    """Adds pictures of samples, reconstructions, and completions, with bands.

    Args:
        page: receives the section.
        vae: a `kvae.VAE` of series.
        inputs: test examples.
        seed: of the draws.
    """
    page.section("Series")
    few = _rows(inputs, _EXAMPLES)
    num = min(len(inputs.x), 1000)
    some = _rows(inputs, num)
    drawn = vae.sample(num, seed=seed, condition=some.condition, mean=False)
    shown = _by_feature(drawn).shape[-1]
    note = f", the first {_FEATURES} features" if shown > _FEATURES else ""
    page.picture(
        band_png({"test": _observed(some), "samples": np.asarray(drawn)}),
        f"At each step, the median and the middle 90 % of {num} test series (blue) and of "
        f"as many samples (orange){note}; thin lines are three samples.",
    )
    page.picture(
        fan_png(_observed(few), _rebuilt(vae, few, seed)),
        f"Test series (blue) and their reconstructions (orange): the median and the "
        f"middle 90 % of {_DRAWS} draws of x from p(x|z), z from q(z|x){note}.",
    )
    if is_completing(vae) and few.mask is not None:
        # The mask of such inputs says what is hidden and to be predicted.
        visible = 1.0 - np.asarray(few.mask, "float32")
        steps = (visible == 0).reshape(len(visible), visible.shape[1], -1)
        first = int(np.argmax(steps.any(axis=(0, 2))))
        what = "Completions of what a training mask hides, given the rest"
        whole: Any = few.x
    else:
        first = vae.data_shape[0] - max(1, round(_FUTURE * vae.data_shape[0]))
        visible = np.zeros((len(few.x), *vae.data_shape), "float32")
        visible[:, :first] = 1.0
        if few.mask is not None:
            visible *= np.asarray(few.mask)
        what = f"Forecasts from step {first} on, given the steps before"
        whole = few.to_dict()
    if not visible.reshape(len(visible), -1).any(axis=1).all():
        return
    answers = vae.complete(whole, visible, _DRAWS, seed, mean=False).x
    page.picture(
        fan_png(
            np.asarray(few.x) if whole is few.x else _observed(few), answers, first
        ),
        f"{what}: the median and the middle 90 % of {_DRAWS} draws (orange), and the "
        f"series (blue){note}.",
    )


def band_png(groups: dict[str, np.ndarray]) -> bytes:
    """Draws quantiles of groups of series (N, T, F) at each step, one plot per feature."""
    arrays = {name: _by_feature(x) for name, x in groups.items()}
    features = min(_FEATURES, next(iter(arrays.values())).shape[-1])
    figure, axes = new_plots((8.0, 1.9 * features), (features, 1))
    for f, axis in enumerate(axes.flat):
        for (name, x), color in zip(arrays.items(), (_REAL, _DRAWN), strict=False):
            _band(axis, 0, x[..., f], color, name)
        for line in next(reversed(arrays.values()))[:3, :, f]:
            axis.plot(line, color=_DRAWN, linewidth=0.6, alpha=0.8)
        axis.set_ylabel(f"feature {f}", fontsize=8)
    axes.flat[0].legend(fontsize=8, frameon=False)
    axes.flat[-1].set_xlabel("step")
    return figure_png(figure)


def fan_png(x: np.ndarray, draws: np.ndarray, first: int = 0) -> bytes:
    """Draws series and the quantiles of several answers to each.

    Args:
        x: (N, T, F) or (N, T), NaN where missing.
        draws: (N, num, T, F) or (N, num, T).
        first: the step from which answers are drawn.
    """
    real = _by_feature(x)
    features = min(_FEATURES, real.shape[-1])
    figure, axes = new_plots(
        (3.2 * len(real) + 0.5, 1.9 * features), (features, len(real))
    )
    for (f, i), axis in np.ndenumerate(axes):
        axis.plot(real[i, :, f], color=_REAL, linewidth=1.2)
        answers = draws[i] if draws.ndim == 4 else draws[i][..., None]
        _band(axis, first, answers[:, first:, f], _DRAWN, "")
        if first:
            axis.axvline(first - 0.5, color="#999999", linewidth=0.8)
        if i == 0:
            axis.set_ylabel(f"feature {f}", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("step")
    return figure_png(figure)


def _band(axis: Any, first: int, x: np.ndarray, color: str, name: str) -> None:
    """Draws the median and the middle 90 % of series (N, T) at each step."""
    known = np.isfinite(x).any(axis=0)
    low, middle, high = np.nanquantile(x[:, known], _BAND, axis=0)
    steps = first + np.flatnonzero(known)
    axis.fill_between(steps, low, high, color=color, alpha=0.25, linewidth=0)
    axis.plot(steps, middle, color=color, linewidth=1.4, label=name or None)


def _rebuilt(vae: Any, few: Inputs, seed: int) -> np.ndarray:
    """Draws x again from q(z|x) and p(x|z): (N, draws, *data_shape)."""
    z = vae.encode(few).sample(_DRAWS, seed=tf.constant([seed, 0]))
    z = tf.reshape(z, (-1, *vae.latent_shape))
    condition = few.condition
    if condition is not None:
        condition = np.tile(condition, (_DRAWS, *[1] * (np.ndim(condition) - 1)))
    draws = vae.decode(z, condition).sample(seed=tf.constant([seed, 1])).numpy()
    return np.asarray(draws.reshape(_DRAWS, -1, *vae.data_shape).swapaxes(0, 1))


def _rows(inputs: Inputs, num: int) -> Inputs:
    return Inputs(**{k: np.asarray(v)[:num] for k, v in inputs.to_dict().items()})


def _observed(inputs: Inputs) -> np.ndarray:
    x = np.asarray(inputs.x, "float32")
    if inputs.mask is None:
        return x
    return np.where(np.asarray(inputs.mask, bool), x, np.float32(np.nan))


def _by_feature(x: Any) -> np.ndarray:
    """Gives series (N, T) their one feature."""
    x = np.asarray(x)
    return x[..., None] if x.ndim == 2 else x
