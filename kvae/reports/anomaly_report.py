"""One self-contained page about what a detector found."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.core.checks import check_dict
from kvae.core.inputs import Inputs
from kvae.detection.detected import Detected
from kvae.detection.detector import Detector
from kvae.detection.drift import DriftResult
from kvae.evaluation.examples import prepare
from kvae.reports.heat_maps import heat_map_rows, heat_maps, series_png, top_entries
from kvae.reports.page import Page
from kvae.reports.pictures import (
    as_images,
    bars_png,
    image_grid,
    observed_images,
    overlaid_histograms_png,
    picture_png,
    value_range,
)
from kvae.tables.schema import as_frame, is_frame

_MOST_COLUMNS = 40  # that the table of a page lists, those that drifted most


def anomaly_report(
    detector: Detector,
    x: Any,
    found: Detected,
    path: Any = None,
    drift: DriftResult | None = None,
    names: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    metadata: dict[str, Any] | None = None,
    title: str = "Anomalies",
    num_worst: int = 10,
) -> str:
    """Writes one HTML page about what a detector found, which needs no other file.

    Args:
        detector: calibrated.
        x: (N, *data_shape) the examples, or a dict with "x" and optionally "condition"
            and "mask".
        found: what `detector.detect(x)` returned.
        path: where to write the page; it is only returned if None.
        drift: of x against reference data, to be shown too.
        names: (N,) of the examples, for example their files; their numbers if None.
        columns: names of the columns of a table.
        metadata: facts by name: data, model, command.
        title: of the page.
        num_worst: how many examples are shown.

    Returns:
        html: the page.

    Raises:
        TypeError: if `detector`, `found`, or `drift` is something else.
        ValueError: if the data don't fit the model, or `found` or the names are of other
            examples or columns.
        ImportError: if matplotlib is missing.
    """
    _check(detector, found, drift)
    schema = detector.vae.schema
    is_table = schema is not None and is_frame(x)
    readable = schema.encode(x, hide_unseen=True) if is_table else x
    inputs = prepare(detector.vae, readable)
    if len(found.score) != len(inputs.x):
        raise ValueError(
            f"found holds {len(found.score)} examples and x {len(inputs.x)}; pass the x "
            "that detect was called with."
        )
    names = _check_names("names", names, len(inputs.x))
    columns = _check_names("columns", columns, math.prod(detector.vae.data_shape))
    page = Page(title)
    _numbers(page, detector, found, check_dict("metadata", metadata))
    worst = found.worst(num_worst)
    chosen = Inputs(**{k: np.asarray(v)[worst] for k, v in inputs.to_dict().items()})
    labels = [str(i) if names is None else names[i] for i in worst]
    page.section(f"The {len(worst)} most unusual examples")
    attribution = detector.attribute(
        as_frame(x).iloc[worst] if is_table else chosen.to_keras()
    )
    _worst(page, detector, chosen, attribution, found, worst, labels, columns)
    if drift is not None:
        _drift(page, drift)
    html = page.html()
    if path is not None:
        pathlib.Path(path).write_text(html, encoding="utf-8")
    return html


def _check(detector: Any, found: Any, drift: Any) -> None:
    if not isinstance(detector, Detector):
        raise TypeError(
            "anomaly_report expects detector to be a kvae.detection.Detector; received "
            f"{detector!r}."
        )
    if not isinstance(found, Detected):
        raise TypeError(
            "anomaly_report expects found to be what detector.detect(x) returns; "
            f"received {found!r}."
        )
    if not isinstance(drift, DriftResult | None):
        raise TypeError(
            "anomaly_report expects drift to be what kvae.detection.drift returns; "
            f"received {drift!r}."
        )


def _check_names(what: str, given: Any, count: int) -> list[str] | None:
    """Returns names as texts, or raises ValueError unless there are `count`."""
    if given is None:
        return None
    if not isinstance(given, (list, tuple, np.ndarray)) or len(given) != count:
        raise ValueError(
            f"anomaly_report expects {what} to be a list of {count}; received {given!r}."
        )
    return [str(name) for name in given]


def _numbers(
    page: Page, detector: Detector, found: Detected, metadata: dict[str, Any]
) -> None:
    cards = [
        ("anomalies", f"{found.num_anomalies} of {found.num_examples}"),
        ("expected if all were normal", f"{found.alpha * found.num_examples:.1f}"),
        ("alpha, share of false alarms", f"{found.alpha:g}"),
        ("calibration examples", str(found.num_calibration)),
        (f"threshold, {found.unit}", f"{found.threshold:.4g}"),
    ]
    page.facts(cards, {"score": found.score_name, **metadata})
    page.section("Scores")
    scores = {
        "calibration": detector.calibration_scores,
        "these examples": found.score,
    }
    count = found.num_calibration
    spread = (found.alpha * (1 - found.alpha) / count) ** 0.5
    page.picture(
        overlaid_histograms_png(
            scores, f"{found.score_name}, {found.unit}", found.threshold
        ),
        "The scores of normal examples and of these. Above the line, an example is an "
        f"anomaly at alpha = {found.alpha:g}: {found.guarantee}; with {count} calibration "
        f"examples, the share has a standard deviation of {100 * spread:.1f} points.",
    )
    page.text(_of_discoveries(found))


def _of_discoveries(found: Detected, level: float = 0.1) -> str:
    """Says how many findings there are if few of them may be false."""
    discoveries = int(found.discoveries(level).sum())
    text = (
        f"If at most one in ten findings may be false, on average (Benjamini-Hochberg), "
        f"{discoveries or 'none'} of the {found.num_examples} examples "
        f"{'are findings' if discoveries > 1 else 'is a finding'}."
    )
    # p-values have a smallest value, and only this many examples reach it.
    smallest = 1.0 / (found.num_calibration + 1)
    reach = int((found.p_value <= smallest * (1 + 1e-9)).sum())
    if discoveries or not reach or smallest <= level * reach / found.num_examples:
        return text
    needed = math.ceil(found.num_examples / (level * reach) - 1e-9) - 1
    return (
        f"{text} {found.num_calibration} calibration examples are too few to tell: no "
        f"p-value can be below {smallest:.2g}. The {reach} examples above all of them "
        f"would need at least {needed} calibration examples to be findings."
    )


def _worst(
    page: Page,
    detector: Detector,
    chosen: Inputs,
    attribution: np.ndarray,
    found: Detected,
    worst: np.ndarray,
    labels: list[str],
    columns: Sequence[str] | None,
) -> None:
    vae = detector.vae
    x = chosen.to_keras()
    shown = observed_images(vae, chosen)
    rebuilt = as_images(vae, np.asarray(vae.reconstruct(x)))
    heat = as_images(vae, attribution)
    is_table = len(vae.data_shape) == 1
    if shown is not None and rebuilt is not None and heat is not None and not is_table:
        maps, scale = heat_maps(shown, heat)
        rows = heat_map_rows(shown, rebuilt, maps, value_range(shown))
        page.picture(
            picture_png(image_grid(rows)),
            "The most unusual example on the left. From top to bottom: the example, its "
            "reconstruction, and where it is unusual. Full red stands for "
            f"{scale:.1f} nats or more per pixel above what is usual there.",
        )
    elif len(vae.data_shape) == 2:
        by_time = attribution.sum(axis=-1)
        page.picture(
            series_png(by_time, labels),
            "Nats above what is usual, by time step, summed over features.",
        )
    header = ["example", f"score, {found.unit}", "p-value", "where, nats above usual"]
    tops = top_entries(attribution, vae.data_shape, columns or _column_names(vae))
    page.grid(
        header,
        [
            [label, f"{found.score[i]:.5g}", f"{found.p_value[i]:.2g}", top]
            for label, i, top in zip(labels, worst, tops, strict=True)
        ],
    )


def _column_names(vae: Any) -> list[str] | None:
    columns = getattr(vae.likelihood, "columns", None)
    return None if columns is None else [column["name"] for column in columns]


def _drift(page: Page, drift: DriftResult) -> None:
    page.section("Drift")
    page.text(f"As a whole, {drift.verdict}")
    page.picture(
        bars_png(drift.differences, "largest difference of F", drift.p_values <= 0.05),
        "How far the distribution functions of each latent are apart; gray: not at the 5 "
        "% level.",
    )
    most = drift.most_drifted
    page.picture(
        overlaid_histograms_png(
            {
                "reference": drift.reference[:, most],
                "these examples": drift.new[:, most],
            },
            f"posterior mean of z[{most}]",
        ),
        f"The latent that differs most, z[{most}] (p = {drift.p_values[most]:.2g}, "
        "adjusted for the number of latents).",
    )
    if drift.column_p_values is not None and drift.column_differences is not None:
        names = list(drift.column_p_values)
        p_values = np.array([drift.column_p_values[name] for name in names])
        apart = np.array([drift.column_differences[name] for name in names])
        page.picture(
            bars_png(apart, "difference", p_values <= 0.05, names),
            "How far the distributions of each column are apart, from 0 to 1; gray: not at "
            "the 5 % level, adjusted for the number of columns.",
        )
        page.grid(
            ["column", "difference", "p-value, adjusted"],
            [
                [name, f"{apart[i]:.3f}", f"{p_values[i]:.2g}"]
                for i, name in enumerate(names[:_MOST_COLUMNS])
            ],
        )
    page.table("Numbers", drift)
