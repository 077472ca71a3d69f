"""Every evaluation of runs: a page about one run, or several runs side by side."""

from __future__ import annotations

import logging
import pathlib
from typing import Any

import numpy as np

from kvae import evaluation, reports
from kvae.core.atomic import WriteError, write_text
from kvae.core.errors import UserError, user_errors
from kvae.core.extras import require
from kvae.core.inputs import Inputs
from kvae.training.commands.output_paths import changed_data
from kvae.training.commands.report_budget import FULL, choose_numbers, evaluate_within
from kvae.training.run.completion import inputs_for_test
from kvae.training.run.further_epochs import read_history
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import Run, open_run

_LOG = logging.getLogger("kvae")


def evaluate_run(
    run: Run,
    only: tuple[str, ...] | None,
    num_samples: int,
    num_examples: int | None,
) -> dict[str, Any]:
    """Runs the evaluations of `kvae.evaluation` on a run's test set.

    Args:
        run: a finished run.
        only: names that `kvae.evaluation.evaluate` knows; all that suit if None.
        num_samples: K of the log-likelihood.
        num_examples: how many test examples, from the first one; all if None.

    Returns:
        results: by name; they are also written to the run's metrics.json, under
            "evaluation".
    """
    inputs = first_test_inputs(run, num_examples)
    labels = run.data.test_labels
    labels = None if labels is None else np.asarray(labels)[: len(inputs.x)]
    with user_errors():
        results = evaluation.evaluate(
            run.vae, inputs, labels, num_samples=num_samples, only=only
        )
    _keep(run, results)
    return results


def _keep(run: Run, results: dict[str, Any], read_only: bool = False) -> None:
    # Read again: another evaluation may have added its numbers meanwhile.
    metrics = run.directory.read_metrics()
    found = {name: result.to_dict() for name, result in results.items()}
    kept = {**metrics.get("evaluation", {}), **found}
    try:
        run.directory.write_metrics({**metrics, "evaluation": kept})
    except WriteError as error:
        if not read_only:
            raise
        _LOG.warning("%s. The page has the numbers.", error)


def report_run(
    path: pathlib.Path,
    out: pathlib.Path | None = None,
    data_dir: str | None = None,
    num_samples: int | None = None,
    num_examples: int | None = None,
    minutes: float | None = 2.0,
) -> pathlib.Path:
    """Writes one HTML page about a run: its numbers with their errors, and pictures.

    Args:
        path: of the run.
        out: of the page; report.html in the run if None.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        num_samples: K of the log-likelihood; None chooses it, or takes 5000 without
            `minutes`.
        num_examples: how many test examples, from the first one; None chooses, or takes
            1000 without `minutes`.
        minutes: about how long it may take; None sets no limit.

    Returns:
        page: its path.
    """
    require("matplotlib", "a report")
    run = open_run(path, changed_data(data_dir))
    with user_errors():
        chosen = FULL[:2]
        if minutes is not None and not (num_examples and num_samples):
            chosen = choose_numbers(run.vae, first_test_inputs(run, None), minutes)
        examples, samples = num_examples or chosen[0], num_samples or chosen[1]
        inputs = first_test_inputs(run, examples)
        _LOG.info(
            "%d test examples, %d latents each for log p(x)%s",
            len(inputs.x),
            samples,
            "" if minutes is None else f", to fit {minutes:g} minutes; --full has more",
        )
        labels = run.data.test_labels
        labels = None if labels is None else np.asarray(labels)[: len(inputs.x)]
        results = evaluate_within(run.vae, inputs, labels, samples, minutes)
    _keep(run, results, read_only=out is not None)
    out = out or run.directory.path / "report.html"
    page = reports.report(
        run.vae,
        inputs,
        results=results,
        labels=labels,
        metadata=_facts(run, path),
        history=_history(run.directory),
        title=f"{run.directory.path.name}: a VAE of {run.data.name}",
    )
    write_text(out, page)
    return out


def compare_runs(
    paths: list[pathlib.Path],
    out: pathlib.Path | None = None,
    data_dir: str | None = None,
    num_samples: int = 1000,
    num_examples: int | None = 1000,
) -> tuple[evaluation.Comparison, dict[str, dict[str, Any]]]:
    """Estimates log p(x) of the same test examples by several runs' models.

    Args:
        paths: of two or more runs.
        out: of an HTML page with the numbers and pictures; none is written if None.
        data_dir: where TFDS keeps its data now; None if it has not moved.
        num_samples: K of the log-likelihood.
        num_examples: how many test examples, from the first one; all if None.

    Returns:
        comparison: by the names of the runs.
        facts: by run, its ELBO, rate, distortion and settings that the runs differ in.

    Raises:
        UserError: if the runs have different test examples.
    """
    if out is not None:
        require("matplotlib", "a page of pictures")
    runs = dict(
        zip(
            _short_names(paths),
            (open_run(path, changed_data(data_dir)) for path in paths),
            strict=True,
        )
    )
    inputs = {name: first_test_inputs(run, num_examples) for name, run in runs.items()}
    first = next(iter(inputs.values()))
    for name, each in inputs.items():
        if not _same_examples(first, each):
            raise UserError(
                f"{name} has other test examples than {next(iter(runs))}; compare runs "
                "with the same data, pixels, and masks."
            )
    _check_measures(runs)
    facts, results = {}, {}
    for name, run in runs.items():
        _LOG.info("log p(x) of %d examples by %s", len(first.x), name)
        results[name] = evaluation.log_likelihood(run.vae, inputs[name], num_samples)
        bound = evaluation.elbo(run.vae, inputs[name])
        facts[name] = {
            "ELBO, nats": bound.elbo,
            "rate, nats": bound.rate,
            "distortion, nats": bound.distortion,
            "parameters": f"{run.vae.count_params():,}",
        }
    _add_differences(facts, {name: run.config.to_dict() for name, run in runs.items()})
    comparison = evaluation.compare(results)
    if out is not None:
        models = {name: run.vae for name, run in runs.items()}
        write_text(out, reports.compare_report(models, inputs, comparison, facts))
    return comparison, facts


def first_test_inputs(run: Run, num_examples: int | None) -> Inputs:
    """The first test examples, in the form that the run's model takes."""
    given = Inputs.of(inputs_for_test(run.data, run.config)).to_dict()
    return Inputs(**{key: np.asarray(v)[:num_examples] for key, v in given.items()})


def _facts(run: Run, path: pathlib.Path) -> dict[str, Any]:
    training = run.metrics.get("training", {})
    test = run.metrics.get("test") or run.metrics.get("test_as_trained") or {}
    made = {
        "data": run.data.name,
        "test examples": len(run.data.test),
        "pixels": test.get("pixels", "as they are"),
        "epochs": training.get("epochs", "?"),
        "training": f"{training['seconds']:.0f} s" if "seconds" in training else "?",
        "parameters": f"{run.vae.count_params():,}",
        "seed": run.config.seed,
        "command": f"kvae report {path}",
    }
    return {**made, **run.directory.facts().get("versions", {})}


def _history(directory: RunDirectory) -> dict[str, list[float]]:
    rows = read_history(directory)
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


def _short_names(paths: list[pathlib.Path]) -> list[str]:
    """Returns the last parts of the paths, as few as distinguish them."""
    parts = [path.expanduser().resolve().parts for path in paths]
    if len(set(parts)) < len(parts):
        raise UserError("the same run is listed twice; compare different runs.")
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            break
    return names


def _check_measures(runs: dict[str, Run]) -> None:
    """Refuses to rank densities against probabilities, because their nats differ."""
    kinds = {run.vae.likelihood.continuous: name for name, run in runs.items()}
    if len(kinds) > 1:
        raise UserError(
            f"{kinds[True]} gives a density of x and {kinds[False]} a probability, so "
            "their nats can't be compared; compare runs with likelihoods of one kind."
        )


def _same_examples(one: Inputs, other: Inputs) -> bool:
    # The condition may differ, because how much a label helps is worth knowing.
    given = [
        {k: v for k, v in each.to_dict().items() if k != "condition"}
        for each in (one, other)
    ]
    return given[0].keys() == given[1].keys() and all(
        np.array_equal(given[0][key], given[1][key]) for key in given[0]
    )


def _add_differences(
    facts: dict[str, dict[str, Any]], configs: dict[str, dict[str, Any]]
) -> None:
    """Adds the settings in which the runs differ."""
    for key in sorted({key for config in configs.values() for key in config}):
        values = [config.get(key) for config in configs.values()]
        if any(value != values[0] for value in values):
            for name, value in zip(configs, values, strict=True):
                facts[name][key] = "-" if value is None else value
