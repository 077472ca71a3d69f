"""The verbs that draw from a run, and the one that fits another prior."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

from kvae.core.command import command_name
from kvae.core.errors import UserError, user_errors
from kvae.priors.fit_mixture import fit_mixture
from kvae.tables import read_table, write_parts, write_table
from kvae.training.commands.condition_argument import read_condition, read_values
from kvae.training.commands.evaluate_runs import show_metrics
from kvae.training.commands.output_paths import TABLES, changed_data, new_file
from kvae.training.config.toml import assign, parse_setting
from kvae.training.run.fitted_prior import training_inputs
from kvae.training.run.pictures import save_examples
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import Run, open_run, undo_fit_prior
from kvae.training.run.runner import fit_prior as fit_run_prior

_AT_ONCE = 1 << 16  # rows of a table that are in memory together


def fit_prior(
    path: pathlib.Path,
    data_dir: str | None = None,
    prior: str | None = None,
    epochs: int | None = None,
    settings: list[str] | None = None,
    undo: bool = False,
) -> None:
    """Fits a prior to the latents of a run's training data, and puts it into the run.

    Args:
        path: of the run.
        data_dir: where TFDS keeps the training data now; None if they have not moved.
        prior: as `kvae.fit_prior` names them; chosen by the shape of the latents if
            None.
        epochs: passes over the training data; as many as make 4000 steps if None.
        settings: "key=value" arguments of the prior.
        undo: go back to the prior of training.
    """
    if undo:
        if prior or epochs or settings:
            raise UserError("--undo doesn't fit a prior; leave out the other options.")
        undo_fit_prior(path)
        print(f"{path} has its original prior again.")
        return
    options: dict[str, Any] = {} if epochs is None else {"epochs": epochs}
    for text in settings or []:
        keys, value = parse_setting(text)
        assign(options, keys, value)
    if options and prior is None:
        raise UserError(
            "name the prior of these options, for example --prior flow_matching."
        )
    spec = {"name": prior, **options} if options else prior
    run = fit_run_prior(path, spec, changed_data(data_dir))
    if "test" in run.metrics:
        show_metrics(run.metrics["test"], run.data.name)
    undone = f"{command_name()} fit-prior {path} --undo"
    print(f"\n{path} has the new prior. To go back: {undone}")


def sample(
    path: pathlib.Path,
    num: int = 64,
    seed: int = 0,
    temperature: float | dict[str, float] = 1.0,
    mean: bool = True,
    out: pathlib.Path | None = None,
    condition: str | None = None,
    fit_prior: int | None = None,
    data_dir: str | None = None,
) -> None:
    """Draws new examples from a trained model.

    Args:
        path: of the run.
        num: how many.
        seed: of the draw.
        temperature: of the prior, or by size of maps for a deep model.
        mean: show means of p(x|z) instead of draws.
        out: a .png or .npy file, or for a table .csv, .tsv, or .parquet; in the run if
            None.
        condition: a label by its number or name, or several separated by commas, one
            per sample; or the numbers of a vector. For a table, "column=value", or
            several separated by commas.
        fit_prior: components of a mixture, fitted to the latents of the training data,
            to draw from instead of the prior; None draws from the prior.
        data_dir: where TFDS keeps the training data now; None if they have not moved.
    """
    directory = RunDirectory.open(path)
    given = "" if condition is None else f"-of-{condition}"
    given += "" if fit_prior is None else f"-fitted-{fit_prior}"
    vae = directory.load_model()
    kinds = (".png", ".npy") if vae.schema is None else TABLES
    out = out or directory.path / f"samples-{num}{given}-seed-{seed}{kinds[0]}"
    new_file(out, *kinds)
    if fit_prior is not None:
        vae = _with_fitted_prior(open_run(path, changed_data(data_dir)), fit_prior)
    if vae.schema is not None:
        with user_errors():
            wanted = read_values(vae.schema, condition)
            write_parts(_rows(vae, num, seed, wanted, temperature), out)
        print(f"Saved {num} rows to {out}")
        return
    with user_errors():
        wanted = read_condition(vae, directory, condition)
        x = vae.sample(num, seed, wanted, temperature, mean)
    save_examples(out, x, directory.pixel_range())
    print(f"Saved {num} samples to {out}")


def impute(
    path: pathlib.Path,
    data: pathlib.Path,
    out: pathlib.Path,
    draw: bool = False,
    num: int = 64,
    seed: int = 0,
) -> None:
    """Fills in the missing values of a table.

    Args:
        path: of the run.
        data: a .csv, .tsv, or .parquet file with the columns of the run's data.
        out: the file to write.
        draw: draw each value once instead of taking the mean or the most frequent one.
        num: draws behind a mean.
        seed: of the draws.
    """
    directory = RunDirectory.open(path)
    new_file(out, *TABLES)
    vae = directory.load_model()
    if vae.schema is None:
        raise UserError(
            f"the model of {path} is not one of a table. For images, use "
            f"{command_name()} complete."
        )
    frame = read_table(data)
    with user_errors(data.name):
        filled = vae.impute(frame, draw, num, seed)
    before, after = (int(f.isna().sum().sum()) for f in (frame, filled))
    write_table(filled, out)
    print(f"Filled in {before - after} values of {len(frame)} rows; saved {out}")


def _rows(
    vae: Any, num: int, seed: int, wanted: dict[Any, Any] | None, temperature: Any
) -> Iterator[Any]:
    """Draws rows of a table, some at a time; those with values given all at once."""
    if wanted is not None:
        yield vae.sample(num, seed, wanted, temperature)
        return
    for first in range(0, max(1, num), _AT_ONCE):
        many = min(_AT_ONCE, num - first)
        yield vae.sample(many, seed, None, temperature, first=first)


def _with_fitted_prior(run: Run, components: int) -> Any:
    """Returns the model of a run with a mixture of normals in place of its prior."""
    inputs = training_inputs(run.data, run.config)
    with user_errors("--fit-prior"):
        return run.vae.with_prior(fit_mixture(run.vae, inputs, components))
