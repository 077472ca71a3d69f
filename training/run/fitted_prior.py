"""Fits a prior to a run after training."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import Any

import numpy as np
import rich.console

import kvae
from kvae.core.command import command_name
from kvae.core.errors import UserError, user_errors
from kvae.core.inputs import Inputs
from kvae.evaluation.mmd import maximum_mean_discrepancy
from kvae.model.fit_prior import (
    STEPS,
    batch_of_fit,
    epochs_of_fit,
    fewest_of_a_label,
    new_prior,
)
from kvae.priors import StandardNormal
from kvae.training.checkpoint.training_state import random_states, set_random_states
from kvae.training.config.config import Config
from kvae.training.data.pipeline import binarize_once
from kvae.training.data.sources import DataSet, ExamplesOnDisk
from kvae.training.run.measure import measure_test
from kvae.training.run.prior_progress import PriorProgress
from kvae.training.run.run_directory import RunDirectory

_LOG = logging.getLogger("kvae")

_COMPARED = 500  # test examples whose latents are compared with the prior
_OF_THE_FIT = ("epochs", "batch_size", "learning_rate")
_ROWS_PER_COMPONENT = 100  # of a table; with 20, the test ELBO of 700 rows falls
_AS_TRAINED = "test_as_trained"
_MEASURED = (
    64  # latents of a flow over time whose density takes no longer than training
)


def fits_prior(config: Config) -> bool:
    """Returns whether a configuration fits a prior after training."""
    return config.fit_prior not in (None, "none")


def choose_fitted_prior(vae: Any, config: Config, examples: int) -> Config:
    """Chooses flow matching for latents that `for_data` made maps, and says so.

    Draws of N(0, I) do not look like the latents of such a model, so without a fitted
    prior the run's samples would be textures. A table gets a mixture, because its rows
    come in groups.

    Args:
        vae: built.
        config: of the run.
        examples: N, of the training set.

    Returns:
        config: with `fit_prior`, unless it or `latent_dim` was set.
    """
    free = config.latent_dim is None and config.fit_prior is None
    plain = vae.condition is None and type(vae.prior) is StandardNormal
    if vae.schema is not None and plain and config.fit_prior is None:
        components = min(max(1, examples // _ROWS_PER_COMPONENT), 50)
        _LOG.info(
            "fit_prior: this run fits a mixture after training (num_components=%d), "
            "because rows of a table come in groups; to do without it, add "
            "--set fit_prior=none",
            components,
        )
        spec = {"name": "mixture", "num_components": components}
        return dataclasses.replace(config, fit_prior=spec)
    if not (free and plain and len(vae.latent_shape) > 1):
        return config
    _LOG.info(
        "fit_prior: this run fits flow_matching after training, because latents of shape "
        "%s do not follow N(0, I); to do without it, add --set fit_prior=none",
        vae.latent_shape,
    )
    return dataclasses.replace(config, fit_prior="flow_matching")


def misses_prior(vae: Any, data: DataSet, config: Config) -> bool:
    """Returns whether latents of the test set clearly don't follow a standard normal.

    They are farther from draws of N(0, I) than any of 19 further draws are, by the
    maximum mean discrepancy.

    Args:
        vae: trained.
        data: of the run.
        config: of the run.
    """
    plain = vae.condition is None and type(vae.prior) is StandardNormal
    if fits_prior(config) or config.complete is not None or not plain:
        return False
    x = data.test[:_COMPARED]
    if len(x) < 2:
        return False
    z = np.asarray(vae.encode(x).sample(seed=[0, 0])).reshape(len(x), -1)
    random = np.random.default_rng(0)
    draws = random.normal(size=(21, *z.shape))
    apart = maximum_mean_discrepancy(z, draws[0])
    return apart > max(maximum_mean_discrepancy(d, draws[1]) for d in draws[2:])


def check_fitted_prior(vae: Any, config: Config, data: DataSet) -> None:
    """Checks that `fit_prior` suits the model and the data, before the model is trained.

    Args:
        vae: built.
        config: of the run.
        data: of the run.

    Raises:
        MissingExtra: if the prior needs a package that is not installed.
        UserError: with what fits.
    """
    if not fits_prior(config):
        return
    if config.complete is not None:
        raise UserError(
            "complete learns p(z | visible) itself; leave out fit_prior, with --set "
            "fit_prior=."
        )
    name, options = _split(config.fit_prior)
    options = {key: v for key, v in options.items() if key not in _OF_THE_FIT}
    states = random_states()  # the training that follows must not depend on it
    with user_errors("fit_prior"):
        new_prior(vae, name, config.seed, options)
    set_random_states(states)
    components = options.get("num_components", 1)
    fewest = fewest_of_a_label(vae, training_inputs(data, config))
    if components > fewest:
        raise UserError(
            f"fit_prior: num_components={components} is more than the {fewest} examples "
            f"{'of the rarest label' if config.condition else 'for training'}; set "
            "fit_prior=mixture, which chooses a number that fits."
        )


def fit_prior_of_run(
    directory: RunDirectory,
    config: Config,
    vae: Any,
    data: DataSet,
    metrics: dict[str, Any],
    trial_steps: int | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Fits the prior that a configuration names, and writes the model with it.

    Args:
        directory: of the run; model.keras becomes the model with the new prior, and the
            model as it was trained is kept.
        config: of the run, with `fit_prior`.
        vae: as it was trained.
        data: of the run.
        metrics: of the run, with those of the test set.
        trial_steps: of a training that was only a trial; the fit takes twice as many, if
            the configuration leaves its length open.

    Returns:
        vae: with the new prior.
        metrics: with the numbers of this prior; the old ones are `test_as_trained`.

    Raises:
        UserError: if the prior does not fit the model or the data.
    """
    name, options = _split(config.fit_prior)
    began = time.monotonic()
    console = None
    if not _LOG.isEnabledFor(logging.INFO):
        console = rich.console.Console(quiet=True)
    progress = PriorProgress(name, console)
    inputs = training_inputs(data, config)
    if (
        trial_steps
        and name != "mixture"
        and not {"epochs", "batch_size"} & set(options)
    ):
        options = {**options, "epochs": _trial_epochs(vae, inputs, trial_steps)}
        _LOG.info(
            "fit_prior: about %d steps, twice as many as this short training; for %d, "
            "run %s fit-prior %s",
            2 * trial_steps,
            STEPS,
            command_name(),
            directory.path,
        )
    try:
        with user_errors("fit_prior"):
            fitted = kvae.fit_prior(
                vae, inputs, name, seed=config.seed, callbacks=[progress], **options
            )
    finally:
        progress.close()
    seconds = time.monotonic() - began
    metrics = _as_trained(metrics)
    metrics["training"] = {**metrics.get("training", {}), "fit_prior_seconds": seconds}
    prior = type(fitted.prior).__name__
    told = f"fit_prior: {prior} in place of {type(vae.prior).__name__}, fitted to the "
    told += f"latents of {len(inputs['x'])} training examples in {seconds:.0f} s"
    if prior == "FlowMatching" and fitted.latent_dim > _MEASURED:
        _LOG.info(
            "%s; its ELBO takes long with %d latents, and kvae evaluate measures it",
            told,
            fitted.latent_dim,
        )
        directory.write_fitted(fitted)
        return fitted, metrics
    # Measured before it is written: what is interrupted leaves a model with its numbers.
    test = measure_test(fitted, data, config)
    directory.write_fitted(fitted)
    before, now = (m["elbo"]["value"] for m in (metrics[_AS_TRAINED], test))
    _LOG.info("%s; test ELBO %.2f, before %.2f nats", told, now, before)
    return fitted, {"test": test, **metrics}


def undo_fitted_prior(directory: RunDirectory, metrics: dict[str, Any]) -> None:
    """Restores the prior that a run was trained with, and its numbers.

    Raises:
        UserError: if no other prior was fitted.
    """
    if not directory.trained_file.is_file():
        raise UserError(
            f"{directory.path} still has the prior that it was trained with; there is "
            "nothing to undo."
        )
    directory.undo_fitted()
    before = metrics.get(_AS_TRAINED)
    training = dict(metrics.get("training", {}))
    training.pop("fit_prior_seconds", None)
    kept = {} if before is None else {"test": before}
    directory.write_metrics({**kept, "training": training})


def training_inputs(data: DataSet, config: Config) -> dict[str, Any]:
    """Returns the training examples for the fit, or as many as fit into memory.

    Pixels that training draws from probabilities are drawn once.
    """
    x = data.train
    rows = x.sample_rows() if isinstance(x, ExamplesOnDisk) else slice(None)
    inputs = Inputs.of(data.inputs("train", config.condition)).to_dict()
    few = {name: values[rows] for name, values in inputs.items()}
    if config.binarize == "dynamic":
        few["x"] = binarize_once(few["x"], config.seed)
    return few


def _trial_epochs(vae: Any, inputs: dict[str, Any], trial_steps: int) -> int:
    return epochs_of_fit(len(inputs["x"]), batch_of_fit(vae), 2 * trial_steps)


def _as_trained(metrics: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers that don't depend on the prior."""
    before = metrics[_AS_TRAINED if _AS_TRAINED in metrics else "test"]
    return {_AS_TRAINED: before, "training": metrics.get("training", {})}


def _split(spec: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    name = spec.get("name")
    if not isinstance(name, str):
        raise UserError(
            'fit_prior must have a name, for example fit_prior = "mixture" or '
            f'{{name = "flow_matching", epochs = 50}}; received {spec!r}.'
        )
    return name, {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in spec.items()
        if key != "name"
    }
