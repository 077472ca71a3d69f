"""The part of a report that compares drawn rows of a table with real ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.inputs import Inputs
from kvae.evaluation.compare_tables import TableComparison, compare_tables
from kvae.reports.page import Page
from kvae.reports.pictures import figure_png, new_plots
from kvae.tables.column import Column

_SHOWN = 30  # columns that are drawn
_BARS = 8  # levels that are drawn, the most frequent ones
_REAL, _DRAWN = "#3b6ea5", "#d98032"


def add_tables(page: Page, vae: Any, inputs: Inputs, seed: int) -> None:
    """Adds marginals, pair associations, and how far off they are.

    Args:
        page: receives the section.
        vae: a `kvae.VAE` of a table.
        inputs: real rows.
        seed: of the drawn rows.
    """
    x = np.asarray(inputs.x, "float32")
    real = vae.schema.decode(x)
    drawn = vae.sample(len(x), seed=seed)
    found = compare_tables(real, drawn, vae.schema)
    page.section("Columns")
    page.text(
        f"{len(drawn)} rows drawn from the model, next to {len(real)} real ones. The "
        "distance of a column is that of Kolmogorov and Smirnov for numbers, and the "
        "total variation for levels; 0 is best, 1 is worst."
    )
    header = [
        "column",
        "kind",
        "real",
        "drawn",
        "missing",
        "missing, drawn",
        "distance",
    ]
    columns = [c for c in vae.schema.columns if c.kind not in ("ignored", "empty")]
    rows = []
    for column, distance in zip(columns, found.distances, strict=True):
        one, other = real[column.name], drawn[column.name]
        shares = [f"{v.isna().mean():.1%}" for v in (one, other)]
        cells = [str(column.name), column.kind, _typical(column, one)]
        rows.append([*cells, _typical(column, other), *shares, f"{distance:.3f}"])
    page.grid(header, rows)
    shown = columns[:_SHOWN]
    page.picture(
        marginals_png(shown, real, drawn),
        f"The first {len(shown)} columns: real rows (blue) and drawn rows (orange)."
        if len(shown) < len(columns)
        else "Each column: real rows (blue) and drawn rows (orange).",
    )
    if len(columns) > 1:
        page.picture(
            associations_png(found),
            "How strongly each pair of columns depends on one another, from 0 (white) to "
            "1, in real rows, in drawn rows, and the difference. The mean difference is "
            f"{found.mean_pair_difference:.3f}; the largest, {found.worst_pair}, is "
            f"{found.worst_pair_difference:.3f}.",
        )


def marginals_png(columns: list[Column], real: Any, drawn: Any) -> bytes:
    """Draws the distribution of each column in two tables, side by side."""
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    figure, axes = new_plots((3.0 * across, 2.1 * down), (down, across))
    for axis in axes.flat[len(columns) :]:
        axis.axis("off")
    for axis, column in zip(axes.flat, columns, strict=False):
        axis.set_title(f"{column.name}"[:32], fontsize=8)
        axis.tick_params(labelsize=6)
        axis.set_yticks([])
        pair = [table[column.name].dropna() for table in (real, drawn)]
        if column.kind in ("number", "count", "date"):
            numbers = [column.numbers(values) for values in pair]
            low, high = (
                np.quantile(numbers[0], [0.005, 0.995]) if len(pair[0]) else (0, 1)
            )
            edges = np.linspace(low, high if high > low else low + 1, 31)
            for values, color in zip(numbers, (_REAL, _DRAWN), strict=True):
                weights = np.full(len(values), 1 / max(1, len(values)))
                axis.hist(
                    values.clip(low, edges[-1]), edges, weights=weights,
                    histtype="stepfilled", alpha=0.45, color=color,
                )  # fmt: skip
            if column.kind == "date":
                axis.set_xticks([])
            continue
        shares = [values.value_counts(normalize=True) for values in pair]
        levels = list(shares[0].index[:_BARS])
        places = np.arange(len(levels))
        for i, (share, color) in enumerate(zip(shares, (_REAL, _DRAWN), strict=True)):
            heights = [float(share.get(level, 0.0)) for level in levels]
            axis.bar(places + 0.4 * i - 0.2, heights, 0.4, color=color)
        axis.set_xticks(places, [str(level)[:8] for level in levels], rotation=30)
    return figure_png(figure)


def associations_png(found: TableComparison) -> bytes:
    """Draws the associations of pairs in two tables, and their difference."""
    gaps = np.abs(found.associations - found.synthetic_associations)
    figure, axes = new_plots((10.0, 3.6), (1, 3))
    names = [str(name)[:14] for name in found.names]
    tables = (found.associations, found.synthetic_associations, gaps)
    for axis, title, table in zip(
        axes.flat, ("real", "drawn", "difference"), tables, strict=True
    ):
        axis.imshow(table, vmin=0, vmax=1, cmap="Blues")
        axis.set_title(title, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
        if axis is axes.flat[0] and len(names) <= _SHOWN:
            axis.set_yticks(range(len(names)), names, fontsize=6)
    return figure_png(figure)


def _typical(column: Column, values: Any) -> str:
    """Describes a column in a few words: its median and quartiles, or its levels."""
    values = values.dropna()
    if not len(values):
        return "-"
    if column.kind in ("number", "count"):
        low, middle, high = np.quantile(column.numbers(values), [0.25, 0.5, 0.75])
        return f"{middle:.4g} ({low:.4g} to {high:.4g})"
    if column.kind == "date":
        ordered = values.sort_values()
        return str(ordered.iloc[len(ordered) // 2])
    shares = values.value_counts(normalize=True)[:3]
    return ", ".join(f"{level} {share:.0%}" for level, share in shares.items())
