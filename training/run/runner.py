"""One run, from a configuration to a finished run directory."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from typing import Any

import keras
import tensorflow as tf

from kvae.core.command import command_name
from kvae.core.errors import UserError
from kvae.core.extras import require
from kvae.training.checkpoint.run_lock import run_lock
from kvae.training.checkpoint.workers import Workers
from kvae.training.config.config import Config
from kvae.training.data.pipeline import binarize_once, steps_per_epoch
from kvae.training.data.sources import DataSet, load_data, located
from kvae.training.run.build_model import build_model
from kvae.training.run.completion import save_completions
from kvae.training.run.fit_run import choose_execution, conditions_of, fit
from kvae.training.run.fitted_prior import (
    check_fitted_prior,
    choose_fitted_prior,
    fit_prior_of_run,
    fits_prior,
    undo_fitted_prior,
)
from kvae.training.run.further_epochs import add_epochs
from kvae.training.run.measure import measure_test
from kvae.training.run.model_card import write_card
from kvae.training.run.number_of_steps import (
    advice_on_few_steps,
    advice_on_overfitting,
    choose_batch_size,
    choose_epochs,
)
from kvae.training.run.pictures import (
    save_curves,
    save_pictures,
    save_reconstructions,
    shows_images,
)
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.strategy import make_strategy

_LOG = logging.getLogger("kvae")


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        directory: its files.
        config: its configuration.
        vae: the trained model.
        data: what it was trained on, as the model sees it.
        metrics: the numbers of metrics.json; empty on workers other than the first,
            which writes all files.
    """

    directory: RunDirectory
    config: Config
    vae: Any
    data: DataSet
    metrics: dict[str, Any]


def train(config: Config, out: pathlib.Path | str) -> Run:
    """Trains a model and writes its run directory.

    The same configuration on the same machine gives the same numbers.

    Args:
        config: of the run.
        out: the folder to create; it must not hold anything.

    Returns:
        run: finished.

    Raises:
        UserError: if the configuration and the data do not fit together, `out` is
            taken, or training diverges.
    """
    require("matplotlib.figure", "drawing the pictures of a run")
    config = dataclasses.replace(config, data=located(config.data))
    strategy = make_strategy(config.strategy)
    if not Workers(strategy).is_first:
        path = pathlib.Path(out).expanduser()
        return _train(config, RunDirectory(path), True, strategy)
    directory = RunDirectory.create(out)
    with run_lock(directory.checkpoints / "lock"):
        return _train(config, directory, True, strategy)


def resume(
    path: pathlib.Path | str,
    changes: dict[str, Any] | None = None,
    epochs: int | None = None,
) -> Run:
    """Resumes an interrupted run, bit for bit as if it had not been interrupted.

    Args:
        path: the run directory.
        changes: keys of the configuration that do not change the numbers: `data_dir`,
            `checkpoint`.
        epochs: extend a finished run to this many epochs in total.

    Returns:
        run: finished; returned at once if it already was.

    Raises:
        UserError: if there is no run, another process works on it, its data are gone,
            or all its checkpoints are damaged; with `epochs`, if it is not finished or
            already has that many.
    """
    directory = RunDirectory.open(path, finished=False)
    if epochs is not None:
        _add_epochs(directory, epochs)
    if directory.is_finished():
        _LOG.info("%s is finished: there is nothing to resume.", directory.path)
        return open_run(path, changes)
    require("matplotlib.figure", "drawing the pictures of a run")
    config = dataclasses.replace(directory.read_config(), **(changes or {}))
    strategy = make_strategy(config.strategy)
    if not Workers(strategy).is_first:
        return _train(config, directory, False, strategy)
    with run_lock(directory.checkpoints / "lock"):
        if directory.is_finished():  # by another process, before this one had the lock
            return open_run(path, changes)
        for difference in directory.check_versions():
            _LOG.warning(
                "%s: the run resumes, but may not be the same bit for bit.", difference
            )
        return _train(config, directory, False, strategy)


def _add_epochs(directory: RunDirectory, epochs: int) -> None:
    with run_lock(directory.checkpoints / "lock"):
        config = directory.read_config()
        if directory.is_finished():
            add_epochs(directory, config, epochs)
        elif epochs != config.epochs:
            raise UserError(
                f"{directory.path} is not finished, and ends after {config.epochs} epochs. "
                f"Resume it first: {command_name()} train --resume {directory.path}."
            )


def _train(
    config: Config, directory: RunDirectory, new: bool, strategy: tf.distribute.Strategy
) -> Run:
    workers = Workers(strategy)
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    data = load_run_data(config)
    config = choose_batch_size(config, len(data.train))
    given = config.epochs is not None  # else there is nothing to advise
    config = choose_epochs(config, len(data.train))
    assert config.epochs is not None  # chosen above
    advice = advice_on_few_steps(config, len(data.train), config.epochs)
    if new and given and advice:
        _LOG.warning("%s", advice)
    conditions = conditions_of(data, config)
    with strategy.scope():
        vae = build_model(config, data.train, conditions["train"], data.schema)
    if new:
        config = choose_fitted_prior(vae, config, len(data.train))
    check_fitted_prior(vae, config, data)
    if new:
        config = choose_execution(vae, config, len(data.train))
    if not new:
        directory.check_data(data.describe())
    elif workers.is_first:
        directory.write_config(config, data.describe())
    history, seconds = fit(vae, config, data, directory)
    if not workers.is_first:
        workers.wait()  # if it ended now, the first worker would consider it lost
        return Run(directory, config, vae, data, {})
    directory.write_model(vae)
    if workers.several:
        vae = directory.load_model()  # a model that only this worker has
    metrics = {
        "test": measure_test(vae, data, config),
        "training": {
            "seconds": seconds,
            "epochs": len(history),
            "parameters": vae.count_params(),
        },
    }
    resume = f"{command_name()} train --resume {directory.path}"
    advice = advice_on_few_steps(config, len(data.train), len(history), resume)
    advice = advice if len(history) == config.epochs else None  # not stopped early
    if fits_prior(config):
        assert config.batch_size is not None  # chosen above
        _show_reconstructions(directory, config, vae, data)
        steps = len(history) * steps_per_epoch(len(data.train), config.batch_size)
        vae, metrics = fit_prior_of_run(
            directory, config, vae, data, metrics, steps if advice else None
        )
    directory.write_metrics(metrics)
    save_curves(directory.path / "curves.png", history)
    _save_pictures(directory, config, vae, data)
    write_card(directory, vae)
    directory.finish()
    workers.wait()
    if overfits := advice_on_overfitting(history):
        _LOG.warning("%s", overfits)
    elif advice and given:
        _LOG.warning("%s", advice)
    return Run(directory, config, vae, data, metrics)


def _show_reconstructions(
    directory: RunDirectory, config: Config, vae: Any, data: DataSet
) -> None:
    """Draws what a prior doesn't change, for those who wait for its fit."""
    if config.complete is None and shows_images(vae):
        shown = data.inputs("test", config.condition)
        path = directory.path / "reconstructions.png"
        save_reconstructions(path, vae, shown, data.pixel_range)
        _LOG.info("reconstructions of test images are in %s", path)


def _save_pictures(
    directory: RunDirectory, config: Config, vae: Any, data: DataSet
) -> None:
    if config.complete is not None and shows_images(vae):
        path = directory.path / "completions.png"
        few, seed = data.test[:16], config.seed
        save_completions(path, vae, few, config.complete, 8, seed, data.pixel_range)
    elif shows_images(vae):
        shown = data.inputs("test", config.condition)
        save_pictures(directory.path, vae, shown, config.seed, data.pixel_range)
    elif data.schema is None:
        _LOG.info(
            "examples of shape %s are not images, so no pictures are drawn", data.shape
        )


def fit_prior(
    path: pathlib.Path | str, prior: Any = None, changes: dict[str, Any] | None = None
) -> Run:
    """Fits a prior to the latents of a finished run's training data.

    model.keras gets the new prior, and trained.keras keeps the model as it was trained.
    The configuration says `fit_prior` from then on, so that a run that is trained
    further, or repeated, is given such a prior again.

    Args:
        path: the run directory.
        prior: as the key `fit_prior` of a recipe; None chooses: a mixture for latents
            that are a vector, flow matching for latents with a shape.
        changes: keys of the configuration to replace, such as `data_dir`.

    Returns:
        run: with the new prior.

    Raises:
        UserError: if there is no finished run, another process works on it, or the prior
            does not fit its model or data.
    """
    directory = _finished(path)
    with run_lock(directory.checkpoints / "lock"):
        run = open_run(path, changes)
        vae, metrics = directory.load_trained(), run.metrics
        if prior is None:
            shaped = len(vae.latent_shape) > 1
            prior = "flow_matching" if shaped else "mixture"
            _LOG.info(
                "fit_prior: %s, because a latent has the shape %s",
                prior,
                vae.latent_shape,
            )
        config = dataclasses.replace(run.config, fit_prior=prior)
        check_fitted_prior(vae, config, run.data)
        if not {"test", "test_as_trained"} & set(metrics):
            metrics = {**metrics, "test": measure_test(vae, run.data, config)}
        vae, metrics = fit_prior_of_run(directory, config, vae, run.data, metrics)
        _record_prior(directory, prior)
        directory.write_metrics(metrics)
        _save_pictures(directory, config, vae, run.data)
        write_card(directory, vae)
        directory.finish()
    return Run(directory, config, vae, run.data, metrics)


def undo_fit_prior(path: pathlib.Path | str) -> None:
    """Gives a run the prior back that it was trained with.

    Raises:
        UserError: if there is no finished run, or no prior was fitted after training.
    """
    directory = _finished(path)
    with run_lock(directory.checkpoints / "lock"):
        undo_fitted_prior(directory, directory.read_metrics())
        _record_prior(directory, None)
        write_card(directory, directory.load_model())
        directory.finish()


def _finished(path: pathlib.Path | str) -> RunDirectory:
    directory = RunDirectory.open(path)
    if not directory.is_finished():
        raise UserError(
            f"{directory.path} is not finished; resume it first: {command_name()} train "
            f"--resume {directory.path}."
        )
    return directory


def _record_prior(directory: RunDirectory, prior: Any) -> None:
    """Writes `fit_prior` to the configuration, where everything else stays."""
    config = directory.read_config()
    directory.change_config(dataclasses.replace(config, fit_prior=prior))


def open_run(path: pathlib.Path | str, changes: dict[str, Any] | None = None) -> Run:
    """Opens a finished run: its model, its data, its numbers.

    Args:
        path: the run directory.
        changes: keys of the configuration to replace, such as `data_dir`.

    Returns:
        run: as `train` returned it.

    Raises:
        UserError: if a file is missing or damaged, or the data are gone.
    """
    directory = RunDirectory.open(path)
    config = dataclasses.replace(directory.read_config(), **(changes or {}))
    vae = directory.load_model()
    data = load_run_data(config)
    if data.shape != vae.data_shape:
        raise UserError(
            f"the model of {directory.path} takes examples of shape {vae.data_shape} "
            f"and {data.name} now has {data.shape}; the data have changed since."
        )
    directory.check_data(data.describe())
    return Run(directory, config, vae, data, directory.read_metrics())


def load_run_data(config: Config) -> DataSet:
    """Loads the data of a run, its test and validation parts binarized once.

    Raises:
        UserError: if the data can't be loaded, or are not probabilities although pixels
            should be drawn from them.
    """
    data = load_data(
        config.data,
        config.data_dir,
        config.validation,
        config.image_size,
        config.pixel_max,
        config.resize,
        config.skip_unreadable,
        config.columns,
    )
    if config.binarize == "none":
        return data
    if data.pixel_range != (0.0, 1.0):
        raise UserError(
            'binarize="dynamic" draws pixels from probabilities in [0, 1]; '
            f"{data.name} ranges over {data.pixel_range[0]:.3g} to "
            f'{data.pixel_range[1]:.3g}. Scale it, or set binarize="none".'
        )
    note = (
        "training pixels are drawn again in each epoch, test pixels once from a "
        "fixed seed."
    )
    _LOG.info("%s: %s", data.name, note)
    return dataclasses.replace(
        data,
        test=binarize_once(data.test),
        validation=binarize_once(data.validation),
        notes=(*data.notes, note),
    )
