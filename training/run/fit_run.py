"""Trains a built model as its configuration says."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from typing import Any

import keras
import rich.console
import tensorflow as tf

from kvae.core.errors import user_errors
from kvae.fitting.execution import steps_at_once, steps_wanted
from kvae.training.checkpoint.checkpoint import Checkpoint
from kvae.training.checkpoint.divergence import Diverged, StopOnDivergence
from kvae.training.checkpoint.workers import Workers
from kvae.training.config.config import Config
from kvae.training.data.check_examples import check_examples
from kvae.training.data.pipeline import steps_per_epoch, training_batches
from kvae.training.data.sources import DataSet, ExamplesOnDisk
from kvae.training.run.history import HistoryFile
from kvae.training.run.number_of_steps import batch_size_for, choose_epochs
from kvae.training.run.optimizer import make_optimizer
from kvae.training.run.pictures import shows_images
from kvae.training.run.progress import Progress
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.training_pictures import TrainingPictures

_LOG = logging.getLogger("kvae")

_FEW = 10  # steps per call without XLA: more gains nothing, and delays a checkpoint


def fit(
    vae: Any, config: Config, data: DataSet, directory: RunDirectory
) -> tuple[list[dict[str, float]], float]:
    """Trains a model as configured, from the run's last checkpoint if there is one.

    Args:
        vae: built.
        config: of the run.
        data: of the run.
        directory: receives history.csv and checkpoints; its lock is held.

    Returns:
        history: one dict per epoch.
        seconds: of training, including those before an interruption.

    Raises:
        Diverged: if the loss becomes NaN or infinite, or explodes.
        UserError: if the data do not fit the model, or cannot be read.
    """
    batch_size = batch_size_for(config, len(data.train))
    config = choose_epochs(config, len(data.train))
    steps = steps_per_epoch(len(data.train), batch_size)
    replicas = vae.distribute_strategy.num_replicas_in_sync
    config = choose_execution(vae, config, len(data.train))
    assert config.epochs is not None  # chosen above
    several = replicas > 1
    at_once = 1 if several else steps_at_once(steps, config.steps_per_execution or 1)
    taken = (
        math.ceil(steps / at_once) * at_once
    )  # Keras makes the last call a whole one
    if several and (config.jit_compile or (config.steps_per_execution or 1) > 1):
        _LOG.info(
            "on %d replicas, steps run one by one and without XLA; "
            "steps_per_execution and jit_compile are ignored",
            replicas,
        )
    with vae.distribute_strategy.scope(), user_errors():
        vae.compile(
            optimizer=make_optimizer(config, taken * config.epochs),
            jit_compile=bool(config.jit_compile) and not several,
            steps_per_execution=at_once,
            max_gradient_norm=config.max_gradient_norm,
        )
    workers = Workers(vae.distribute_strategy)
    is_first = workers.is_first
    shown = is_first and _LOG.isEnabledFor(logging.INFO)
    console = None if shown else rich.console.Console(quiet=True)
    progress = Progress(config.epochs, steps, batch_size, console)
    history = HistoryFile(directory.history_file if is_first else None)
    callbacks: list[Any] = [progress, history, StopOnDivergence()]
    if config.early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=f"val_{vae.objective.monitor}",
                mode=vae.objective.monitor_mode,
                patience=config.early_stopping,
                restore_best_weights=True,
            )
        )
    if config.ema_momentum is not None and len(data.validation):
        callbacks.append(keras.callbacks.SwapEMAWeights())  # validate the averages
    if not workers.several and config.complete is None and shows_images(vae):
        callbacks.append(
            TrainingPictures(
                directory.pictures,
                data.inputs("test", config.condition),
                config.pictures,
                config.seed,
                data.pixel_range,
            )
        )
    with user_errors():  # the model checks the data before it builds a graph
        check_examples(vae, config, data)
        validation = None
        if len(data.validation):
            validation = data.inputs("validation", config.condition)
        x = data.train
        if not isinstance(x, ExamplesOnDisk):
            with tf.device("cpu"):  # one copy, however often batches are made of it
                x = tf.constant(x, tf.float32)

        def batches_from(first: int) -> tf.data.Dataset:
            return training_batches(
                x,
                batch_size,
                config.seed,
                config.binarize == "dynamic",
                condition=conditions_of(data, config)["train"],
                first_batch=first,
                nan_is_hidden=data.has_hidden_entries,
            )

    checkpoint = Checkpoint(
        directory.path,
        config.checkpoint,
        batches_from=batches_from,
        lock=False,
        belongs_to=config.deciding(),
    )
    began = time.monotonic()
    try:
        vae.fit(
            batches_from(0),
            epochs=config.epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            validation_batch_size=max(batch_size, 256),
            callbacks=[*callbacks, checkpoint],
            shuffle=False,  # the pipeline already shuffles
            verbose=0,
        )
    except Diverged as error:
        if not is_first:
            raise
        directory.write_last_good(vae)
        kept = f"The model before that step is in {directory.last_good_file}."
        raise Diverged(f"{error} {kept}") from error
    except tf.errors.OpError:
        if isinstance(x, ExamplesOnDisk) and x.failures:  # the graph lost the message
            raise x.failures[-1] from None
        raise
    finally:
        progress.close()
    return history.rows, checkpoint.seconds + time.monotonic() - began


def choose_execution(vae: Any, config: Config, examples: int) -> Config:
    """Fills in how many steps share a call, if the recipe leaves that open.

    No number depends on it. The run stores it, so that it resumes in the same way.

    Args:
        vae: built.
        config: of the run.
        examples: N, of the training set.

    Returns:
        config: unchanged for several replicas.
    """
    if vae.distribute_strategy.num_replicas_in_sync > 1:
        return config
    wanted = config.steps_per_execution
    if wanted is None:
        batch_bytes = 4 * batch_size_for(config, examples) * math.prod(vae.data_shape)
        wanted = steps_wanted(batch_bytes) if config.jit_compile else _FEW
    return dataclasses.replace(config, steps_per_execution=wanted)


def conditions_of(data: DataSet, config: Config) -> dict[str, Any]:
    """Reads the condition of each part, which every part must have; None if unused."""
    parts = ("train", "test", *(["validation"] if len(data.validation) else []))
    given = {part: data.inputs(part, config.condition) for part in parts}
    return {p: v["condition"] if config.condition else None for p, v in given.items()}
