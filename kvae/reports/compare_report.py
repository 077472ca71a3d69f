"""One self-contained page about several models on the same examples."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from kvae.core.checks import check_dict
from kvae.core.inputs import Inputs
from kvae.evaluation.compare import Comparison
from kvae.evaluation.examples import prepare
from kvae.reports.page import Page
from kvae.reports.pictures import (
    as_images,
    image_grid,
    observed_images,
    picture_png,
    value_range,
)


def compare_report(
    models: dict[str, Any],
    inputs: dict[str, Any],
    comparison: Comparison,
    facts: dict[str, dict[str, Any]] | None = None,
    path: Any = None,
    seed: int = 0,
) -> str:
    """Writes one HTML page that shows models side by side, and needs no other file.

    Args:
        models: by name, each a `kvae.VAE`.
        inputs: by name, the examples as each model takes them: (N, *data_shape), or a
            dict as for `report`.
        comparison: of these models, from `compare`.
        facts: by model, further rows of the table by their names.
        path: where to write the page; it is only returned if None.
        seed: of the samples, the same for all models.

    Returns:
        html: the page.

    Raises:
        ValueError: if the data do not fit a model.
        ImportError: if matplotlib is missing.
    """
    models, inputs = check_dict("models", models), check_dict("inputs", inputs)
    if not isinstance(comparison, Comparison):
        raise TypeError(
            "comparison must be the result of kvae.evaluation.compare; received "
            f"{comparison!r}."
        )
    named = sorted(map(str, comparison.means))
    if sorted(map(str, models)) != named or not set(models) <= set(inputs):
        raise ValueError(
            f"models and inputs must have the names of the comparison, {named}; received "
            f"{list(models)} and {list(inputs)}."
        )
    facts = check_dict("facts", facts)
    page = Page(" and ".join(models) if len(models) < 4 else f"{len(models)} models")
    best = comparison.best
    page.facts([(f"{comparison.quantity}, the best", str(comparison.means[best]))], {})
    page.section("Numbers")
    page.text(comparison.verdict)
    if comparison.warning:
        page.text(comparison.warning)
    page.grid(["", *models], comparison_rows(comparison, facts))
    page.section("Pictures")
    for name, vae in models.items():
        _pictures(page, name, vae, prepare(vae, inputs[name]), seed)
    html = page.html()
    if path is not None:
        pathlib.Path(path).write_text(html, encoding="utf-8")
    return html


def comparison_rows(
    comparison: Comparison, facts: dict[str, dict[str, Any]]
) -> list[list[str]]:
    """Lays out a comparison: its numbers, then the facts, a column for each model.

    Args:
        comparison: from `compare`.
        facts: by model, values by the names of rows.

    Returns:
        rows: the name of a row, then a cell for each model.
    """
    names = list(comparison.means)
    behind = [
        "the best" if name == comparison.best else str(comparison.behind_best[name])
        for name in names
    ]
    rows = [
        [comparison.quantity, *(str(comparison.means[name]) for name in names)],
        ["behind the best (paired error)", *behind],
    ]
    keys = dict.fromkeys(key for each in facts.values() for key in each)
    for key in keys:
        rows.append([key, *(str(facts.get(name, {}).get(key, "-")) for name in names)])
    return rows


def _pictures(page: Page, name: str, vae: Any, inputs: Inputs, seed: int) -> None:
    few = Inputs(**{k: np.asarray(v)[:16] for k, v in inputs.to_dict().items()})
    shown = observed_images(vae, few)
    if shown is None:
        page.text(f"{name}: its data are not images.")
        return
    rebuilt = as_images(vae, vae.reconstruct(few))
    drawn = vae.sample(len(few.x), seed=seed, condition=few.condition)
    fake = as_images(vae, drawn)
    assert rebuilt is not None
    assert fake is not None
    page.picture(
        picture_png(image_grid(np.stack([shown, rebuilt, fake]), *value_range(shown))),
        f"{name}: examples, their reconstructions, and samples (seed {seed}).",
    )
