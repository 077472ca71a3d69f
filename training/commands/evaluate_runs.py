"""The verbs that measure runs: numbers on standard output, pages on disk."""

from __future__ import annotations

import pathlib
from typing import Any

from kvae.core.errors import UserError
from kvae.reports.compare_report import comparison_rows
from kvae.training.commands.output_paths import changed_data, new_file
from kvae.training.commands.run_reports import compare_runs, evaluate_run, report_run
from kvae.training.run.measure import measure_test
from kvae.training.run.metrics_file import title, value_and_error
from kvae.training.run.model_card import write_card
from kvae.training.run.runner import open_run


def evaluate(
    path: pathlib.Path,
    data_dir: str | None = None,
    num_samples: int | None = None,
    only: str | None = None,
    examples: int | None = None,
) -> None:
    """Measures a run on its test set and adds the numbers to its metrics.json.

    Args:
        path: of the run.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        num_samples: K, latents per example; None takes that of the run's test ELBO, or
            5000 for the log-likelihood.
        only: names of evaluations, separated by commas; the ELBO of training if None.
        examples: how many test examples, with `only`; all if None.
    """
    run = open_run(path, changed_data(data_dir))
    if only is not None:
        names = tuple(only.replace(" ", "").split(","))
        for result in evaluate_run(run, names, num_samples or 5000, examples).values():
            print(f"\n{result}")
        print(f"\nAdded to {run.directory.metrics_file}")
        return
    if examples is not None:
        raise UserError(
            "--examples needs --only; the ELBO is always that of the whole test set."
        )
    samples = num_samples or run.config.eval_samples
    test = measure_test(run.vae, run.data, run.config, samples)
    show_metrics(test, run.data.name)
    name = "test" if samples == run.config.eval_samples else f"test_{samples}_samples"
    run.directory.write_metrics({**run.directory.read_metrics(), name: test})
    write_card(run.directory, run.vae)
    print(f"\nAdded to {run.directory.metrics_file}")


def report(
    path: pathlib.Path,
    data_dir: str | None = None,
    num_samples: int | None = None,
    examples: int | None = None,
    out: pathlib.Path | None = None,
    minutes: float = 2.0,
    full: bool = False,
) -> None:
    """Writes one HTML page about a run.

    Args:
        path: of the run.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        num_samples: K of the log-likelihood; chosen if None.
        examples: how many test examples; chosen if None.
        out: of the page; report.html in the run if None.
        minutes: about how long it may take.
        full: set no time limit.
    """
    if out is not None:
        new_file(out, ".html")
    time = None if full else minutes
    page = report_run(path, out, data_dir, num_samples, examples, time)
    print(f"Wrote {page}")


def compare(
    paths: list[pathlib.Path],
    data_dir: str | None = None,
    num_samples: int = 1000,
    examples: int = 1000,
    out: pathlib.Path | None = None,
) -> None:
    """Compares runs on the same test examples.

    Args:
        paths: of the runs.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        num_samples: K of the log-likelihood.
        examples: how many test examples.
        out: of a page with pictures; none if None.
    """
    if len(paths) < 2:
        raise UserError("compare needs at least two runs.")
    if out is not None:
        new_file(out, ".html")
    found, facts = compare_runs(paths, out, data_dir, num_samples, examples)
    rows = [["", *found.means], *comparison_rows(found, facts)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\n{found.num_examples} examples, K = {num_samples}. {found.verdict}")
    if found.warning:
        print(f"Warning: {found.warning}")
    if out is not None:
        print(f"Wrote {out}")


def show_metrics(metrics: dict[str, Any], name: str) -> None:
    """Prints the numbers of metrics.json, each with its error and estimator."""
    rows = {key: row for key, row in metrics.items() if isinstance(row, dict)}
    count = next(iter(rows.values()))["num_examples"]
    pixels = metrics["pixels"]
    drawn = "" if pixels == "as they are" else f", pixels {pixels}"
    print(f"\n{name}: {count} test examples{drawn}")
    for key, row in rows.items():
        value = value_and_error(key, row)
        print(f"  {title(key):13} {value:>16} {row['unit']}  ({row['estimator']})")
