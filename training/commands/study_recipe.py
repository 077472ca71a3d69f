"""The verb `study`: many runs of a recipe, one table, and a recommendation."""

from __future__ import annotations

import logging
import pathlib
from typing import Any

import numpy as np

from kvae.core.atomic import make_folder, write_text
from kvae.core.errors import UserError, user_errors
from kvae.core.extras import require
from kvae.reports.page import Page
from kvae.reports.pictures import figure_png, new_plots
from kvae.training.run.fitted_prior import fits_prior
from kvae.training.run.study import Point, Study, numeric, run_study, table_csv
from kvae.training.run.study_advice import ON_TEST, recommend
from kvae.training.run.study_runs import CHOOSING, MEASURED

_LOG = logging.getLogger("kvae")
_TITLES = {
    CHOOSING: "validation ELBO",
    "elbo": "test ELBO, nats",
    "rate": "rate, nats",
    "distortion": "distortion, nats",
    "active_units": "active latents",
    "seconds": "seconds",
}


def study(
    recipe: str | None,
    vary: list[str],
    seeds: int = 3,
    data: str | None = None,
    data_dir: str | None = None,
    settings: list[str] | None = None,
    out: pathlib.Path | None = None,
    workers: int | None = None,
) -> None:
    """Trains a recipe with every combination of values, several seeds each.

    Args:
        recipe: a name or path; None uses the defaults for `data`.
        vary: "key=value,value" of different keys.
        seeds: of each combination.
        data: replaces that of the recipe.
        data_dir: where TFDS keeps its data.
        settings: "key=value" changes to the recipe.
        out: the folder to create or to resume; studies/NAME if None.
        workers: runs at once; None chooses from the cores.

    Raises:
        UserError: if nothing is varied, or a key or value is wrong.
    """
    if not vary:
        raise UserError("say what to vary, such as --vary latent_dim=2,4,8.")
    if recipe is None and data is None:
        raise UserError("say what to train on: a recipe, or --data.")
    require("matplotlib.figure", "the picture of a study")
    changes = {"data": data, "data_dir": data_dir}
    plan = Study.of(recipe, vary, seeds, changes, settings)
    if out is None:
        out = pathlib.Path("studies") / pathlib.Path(recipe or data or "").stem
    out = out.expanduser()
    with user_errors():
        make_folder(out)
    _LOG.info(
        "%d runs: %d combinations, %d seeds each",
        len(plan.configs),
        len(plan.configs) // seeds,
        seeds,
    )
    if all(not fits_prior(config) for config in plan.configs.values()):
        _LOG.info("no prior is fitted after training: the ELBO is that of training")
    measured = run_study(plan, out, workers)
    points = plan.points(measured)
    write_text(out / "study.csv", table_csv(points, plan.seeds))
    sentences = recommend(points, plan.varied)
    write_text(out / "study.html", _page(plan, points, sentences, recipe or str(data)))
    for row in _rows(points):
        print("  ".join(cell.ljust(14) for cell in row).rstrip())
    print("", *sentences, f"\nThe page is {out / 'study.html'}", sep="\n")


def _rows(points: list[Point]) -> list[list[str]]:
    names = [n for n in (CHOOSING, *MEASURED, "seconds") if n in points[0].numbers]
    rows = [[*points[0].values, *(_TITLES[name] for name in names)]]
    for point in points:
        shown = [str(point.estimate(name)) for name in names]
        rows.append([*point.values.values(), *shown])
    return rows


def _page(plan: Study, points: list[Point], sentences: list[str], name: str) -> str:
    page = Page(f"A study of {name}")
    page.facts(
        [("runs", str(len(plan.configs))), ("seeds each", str(len(plan.seeds)))],
        {key: ", ".join(values) for key, values in plan.varied.items()},
    )
    page.section("Recommendation")
    for sentence in sentences:
        page.text(sentence)
    page.section("Numbers")
    header, *rows = _rows(points)
    page.grid(header, rows)
    chosen = (
        "Values are chosen by the ELBO of the validation set; all other numbers are those "
        "of the test set."
    )
    page.text(
        "Means over seeds, and their standard errors. "
        + (chosen if CHOOSING in points[0].numbers else ON_TEST)
    )
    page.picture(
        curves_png(plan.varied, points),
        f"By {next(iter(plan.varied))}; a point per seed, and a line through the means.",
    )
    return page.html()


def curves_png(varied: dict[str, list[str]], points: list[Point]) -> bytes:
    """Draws ELBO, rate, and distortion by the first key, a line per value of the others."""
    figure, axes = new_plots((10.5, 3.2), (1, 3))
    first, values = next(iter(varied.items()))
    numbers: Any = numeric(values)
    order = range(len(values)) if numbers is None else np.argsort(numbers)
    places = list(range(len(values))) if numbers is None else numbers
    groups: dict[str, list[Point]] = {}
    for point in points:
        rest = [f"{k}={v}" for k, v in point.values.items() if k != first]
        groups.setdefault(", ".join(rest), []).append(point)
    for axis, name in zip(axes.flat, ("elbo", "rate", "distortion"), strict=True):
        for i, (label, group) in enumerate(groups.items()):
            color = f"C{i % 10}"
            line = [(places[k], group[k].numbers[name]) for k in order]
            means = [seeds.mean() for _, seeds in line]
            axis.plot([x for x, _ in line], means, color=color, label=label or None)
            for x, seeds in line:
                axis.scatter([x] * len(seeds), seeds, s=12, color=color, alpha=0.7)
        axis.set_title(_TITLES[name], fontsize=9)
        axis.set_xlabel(first)
        if numbers is None:
            axis.set_xticks(places, values, rotation=20)
        elif min(numbers) > 0 and max(numbers) >= 8 * min(numbers):
            axis.set_xscale("log")
            axis.set_xticks(numbers, values)
            axis.minorticks_off()
    if len(groups) > 1:
        axes.flat[0].legend(fontsize=7, frameon=False)
    return figure_png(figure)
