"""One self-contained page about a trained model."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.checks import check_dict, check_seed
from kvae.core.inputs import Inputs
from kvae.evaluation.elbo import elbo
from kvae.evaluation.evaluate import evaluate
from kvae.evaluation.examples import prepare
from kvae.evaluation.information import InformationResult
from kvae.evaluation.latent_maps import latent_grid, latent_map, traversals
from kvae.evaluation.latents import LatentUsage
from kvae.evaluation.level_reconstructions import level_reconstructions
from kvae.evaluation.result import Result
from kvae.reports.page import Page
from kvae.reports.pictures import (
    as_images,
    bars_png,
    curves_png,
    histogram_png,
    image_grid,
    observed_images,
    picture_png,
    scatter_png,
    value_range,
)
from kvae.reports.series_section import add_series
from kvae.reports.table_section import add_tables

_EXPLAINED = {
    "log_likelihood": "How probable the model finds unseen examples. Higher is better.",
    "elbo": "The bound that training maximizes, unweighted, and its two terms.",
    "information": "What the rate pays for: information about x, or mismatch with p(z).",
    "latents": "Which latent dimensions the model uses.",
    "gaps": "What separates the bound from log p(x): the family of q, or the encoder.",
    "ais": "A second opinion on log p(x), by annealing.",
    "samples": "How samples compare with data, in the features named below.",
    "disentanglement": "Does each latent hold one factor of the data? 1 is perfect.",
}
_HEADINGS = {"elbo": "ELBO", "ais": "AIS"}


def report(
    vae: Any,
    x: Any,
    path: Any = None,
    results: dict[str, Result] | None = None,
    labels: Any = None,
    metadata: dict[str, Any] | None = None,
    history: dict[str, Any] | None = None,
    title: str = "A trained VAE",
    seed: int = 0,
) -> str:
    """Writes one HTML page with numbers and pictures, which needs no other file.

    Args:
        vae: a `kvae.VAE`.
        x: (N, *data_shape) test examples, or a dict with "x" and optionally "condition"
            and "mask".
        path: where to write the page; it is only returned if None.
        results: by name, as `evaluate` returns them; `evaluate(vae, x, labels)` if None.
        labels: (N,) integers, which color the latent map.
        metadata: facts about the run by name: data set, date, command, versions.
        history: by metric, one value per epoch, as Keras' `History.history`.
        title: of the page.
        seed: of samples and draws.

    Returns:
        html: the page.

    Raises:
        ValueError: if the data do not fit the model.
        ImportError: if matplotlib is missing.
    """
    inputs = prepare(vae, x)
    check_seed(seed)
    metadata = check_dict("metadata", metadata)
    history = check_dict("history", history)
    if labels is not None and np.shape(labels) != (len(inputs.x),):
        raise ValueError(
            f"labels must hold one value per example, shape ({len(inputs.x)},); received "
            f"shape {np.shape(labels)}."
        )
    if results is not None:
        results = check_dict("results", results)
    if results is None:
        results = evaluate(vae, inputs, labels=labels, seed=seed)
    page = Page(title)
    page.facts(_headline(results, len(inputs.x)), metadata)
    if vae.schema is not None:
        add_tables(page, vae, inputs, seed)
    if vae.data_kind == "series":
        add_series(page, vae, inputs, seed)
    _unusual(page, vae, inputs, results)
    _pictures(page, vae, inputs, seed, results)
    _latents(page, vae, inputs, results, labels)
    page.section("Numbers")
    for name, result in results.items():
        heading = _HEADINGS.get(name, name.replace("_", " ").capitalize())
        page.table(heading, result, _EXPLAINED.get(name, ""))
    if history:
        _training(page, history)
    html = page.html()
    if path is not None:
        pathlib.Path(path).write_text(html, encoding="utf-8")
    return html


def _images(vae: Any, inputs: Inputs) -> np.ndarray | None:
    """Examples as images, unless they are not images; 64 columns are not 8x8 pixels."""
    if vae.schema is not None:
        return None
    return observed_images(vae, inputs)


def _headline(results: dict[str, Result], num: int) -> list[tuple[str, str]]:
    found = []
    wanted = (
        ("log_likelihood", "log_likelihood", "log p(x), nats"),
        ("log_likelihood", "bits_per_dim", "bits per dimension"),
        ("elbo", "elbo", "ELBO, nats"),
        ("elbo", "rate", "rate, nats"),
        ("latents", "active_units", "active latents"),
        ("samples", "coverage", "coverage of the data"),
    )
    for result, field, shown in wanted:
        value = getattr(results.get(result), field, None)
        if value is not None:
            number = f"{value:.3f}" if isinstance(value, float) else str(value)
            count = getattr(results[result], "num_examples", num)
            if count < num:  # which the other numbers beside it are not of
                shown = f"{shown}, first {count} examples"
            if field == "active_units":
                number += f" of {getattr(results[result], 'latent_dim', '?')}"
            found.append((shown, number))
    return found


def _pictures(
    page: Page, vae: Any, inputs: Inputs, seed: int, results: dict[str, Result]
) -> None:
    few = Inputs(**{k: np.asarray(v)[:16] for k, v in inputs.to_dict().items()})
    shown = _images(vae, few)
    if shown is None:
        return
    limits = value_range(shown)
    rebuilt = as_images(vae, vae.reconstruct(few))
    assert rebuilt is not None
    page.section("Pictures")
    page.picture(
        picture_png(image_grid(np.stack([shown, rebuilt]), *limits)),
        "Examples (above) and their reconstructions (below): the mean of p(x|z) at the "
        "posterior mean.",
    )
    if hasattr(vae.posterior, "known_levels"):
        _levels(page, vae, few, shown, limits)
    condition = few.condition
    num = 64 if condition is None else len(condition)
    fake = as_images(vae, vae.sample(num, seed=seed, condition=condition))
    assert fake is not None
    columns = min(num, 16)
    tiled = fake[: num - num % columns].reshape(-1, columns, *fake.shape[1:])
    page.picture(
        picture_png(image_grid(tiled, *limits)),
        f"{num} samples, not selected: z from the prior (seed {seed}), the mean of p(x|z).",
    )
    found = results.get("information")
    if isinstance(found, InformationResult):
        page.text(found.verdict)


def _levels(
    page: Page, vae: Any, few: Inputs, shown: np.ndarray, limits: tuple[float, float]
) -> None:
    known = level_reconstructions(vae, few)
    del known["nothing"]
    rows = [shown]
    for x in known.values():
        images = as_images(vae, x)
        assert images is not None
        rows.append(images)
    page.picture(
        picture_png(image_grid(np.stack(rows), *limits)),
        f"Examples, and below them what the levels down to {_joined(list(known))} know: "
        "latents of smaller maps are inferred from the example, those of larger ones are "
        "what the prior expects given them.",
    )


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def _unusual(page: Page, vae: Any, inputs: Inputs, results: dict[str, Result]) -> None:
    values = getattr(results.get("log_likelihood"), "per_example", None)
    what = "log p(x)"
    if values is None or len(values) != len(inputs.x):
        values, what = elbo(vae, inputs).per_example, "ELBO"
    page.section("Examples, from usual to unusual")
    page.picture(
        histogram_png(values, f"{what}, nats"), f"{what} of {len(values)} examples."
    )
    count = min(16, len(values))
    order = np.argsort(values)
    rows = np.stack([order[-count:][::-1], order[:count]])
    chosen = {k: np.asarray(v)[rows.ravel()] for k, v in inputs.to_dict().items()}
    shown = _images(vae, Inputs(**chosen))
    if shown is not None:
        shown = shown.reshape(*rows.shape, *shown.shape[1:])
        page.picture(
            picture_png(image_grid(shown, *value_range(shown))),
            f"The most probable examples (above, {values[order[-1]]:.1f} nats at most) and "
            f"the least (below, {values[order[0]]:.1f} at least): look here for outliers.",
        )


def _latents(
    page: Page, vae: Any, inputs: Inputs, results: dict[str, Result], labels: Any
) -> None:
    page.section("Latents")
    usage = results.get("latents")
    order, ordered = np.arange(vae.latent_dim), ""
    if isinstance(usage, LatentUsage):
        rate, variance = usage.rate_per_dimension, usage.mean_variance
        size = variance if rate is None else rate
        order = np.argsort(size)[::-1]
        what, unit = (
            ("variance of the mean", "") if rate is None else ("rate", ", nats")
        )
        label, ordered = what + unit, f", the latent with the largest {what} on top"
        least = usage.threshold * vae.prior.unit_variance
        page.picture(bars_png(size, label, variance > least), usage.verdict)
    if vae.latent_dim >= 2:
        rows = slice(0, 3000)
        few = Inputs(**{k: np.asarray(v)[rows] for k, v in inputs.to_dict().items()})
        plane = latent_map(vae, few)
        colors = None if labels is None else np.asarray(labels)[rows]
        page.picture(
            scatter_png(plane.points, colors, plane.axis_names),
            f"Posterior means of {len(plane.points)} examples; the plane shows "
            f"{plane.explained:.0%} of their variance.",
        )
    first = {k: np.asarray(v)[:1] for k, v in inputs.to_dict().items()}
    if _images(vae, Inputs(**first)) is None:
        return
    images, steps = traversals(
        vae, first["x"], order[:10], 11,
        condition=first.get("condition"), mask=first.get("mask"),
    )  # fmt: skip
    shown = as_images(vae, images)
    assert shown is not None
    page.picture(
        picture_png(image_grid(shown, *value_range(shown))),
        f"Traversals: each row moves one latent of the first example from {steps[0]:g} to "
        f"{steps[-1]:g}{ordered} ({', '.join(f'z[{d}]' for d in order[:10])}).",
    )
    plane_of_normals = vae.latent_dim == 2 and vae.prior.space == "R^D"
    if plane_of_normals and inputs.condition is None:
        grid = as_images(vae, latent_grid(vae)[0])
        assert grid is not None
        page.picture(
            picture_png(image_grid(grid, *value_range(grid))),
            "The latent plane, decoded at even quantiles of the standard normal.",
        )


def _training(page: Page, history: dict[str, Any]) -> None:
    page.section("Training")
    for name in ("elbo", "rate", "distortion", "active_units"):
        curves = {
            key: np.asarray(history[key], "float64")
            for key in (name, f"val_{name}")
            if len(history.get(key, ())) > 1
        }
        if curves:
            label = name.replace("_", " ")
            page.picture(curves_png(curves, "epoch", label), f"{label} by epoch.")
