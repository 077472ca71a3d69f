"""Extends a finished run: its end becomes a checkpoint that is resumed."""

from __future__ import annotations

import csv
import dataclasses
import logging
from typing import Any

import keras

from kvae.core.command import command_name
from kvae.core.errors import UserError
from kvae.training.checkpoint.checkpoint_folder import CheckpointFolder, Position
from kvae.training.checkpoint.divergence import StopOnDivergence
from kvae.training.checkpoint.snapshot import snapshot
from kvae.training.config.config import Config
from kvae.training.run.history import HistoryFile
from kvae.training.run.optimizer import make_optimizer
from kvae.training.run.run_directory import RunDirectory

_LOG = logging.getLogger("kvae")


def add_epochs(directory: RunDirectory, config: Config, epochs: int) -> None:
    """Turns a finished run into an interrupted one with more epochs to train.

    The optimizer keeps its moments, and the history its rows. A cosine schedule is
    stretched over all epochs, so the learning rate resumes above the value at which it
    ended. The prior of training is trained further; if another was fitted after it,
    that one is fitted again at the end.

    Args:
        directory: of the run; its lock is held.
        config: of the run.
        epochs: in total, including those already trained.

    Raises:
        UserError: if more epochs are already trained, or several machines train.
    """
    rows = read_history(directory)
    if epochs == len(rows):
        return
    if epochs < len(rows):
        raise UserError(
            f"{directory.path} already has {len(rows)} epochs, and --epochs includes "
            f"them. To train as many again: {command_name()} train --resume "
            f"{directory.path} --epochs {2 * len(rows)}."
        )
    if config.strategy == "multi_worker":
        raise UserError("a finished run of several machines can't be extended.")
    config = dataclasses.replace(config, epochs=epochs)
    model = directory.load_trained()
    history = keras.callbacks.History()
    history.epoch = list(range(len(rows)))
    history.history = {
        name: [row[name] for row in rows]
        for name in (rows[0] if rows else {})
        if name not in ("epoch", "learning_rate")
    }
    of_file = HistoryFile(None)
    of_file.rows = rows
    callbacks: list[Any] = [of_file, StopOnDivergence(), history]
    if config.early_stopping:
        callbacks.append(keras.callbacks.EarlyStopping())
    seconds = directory.read_metrics().get("training", {}).get("seconds") or 0.0
    arrays, facts = snapshot(model, callbacks, seconds, config.deciding())
    directory.change_config(config)
    CheckpointFolder(directory.checkpoints).save(Position(len(rows)), arrays, facts)
    if config.schedule == "cosine":
        steps = int(model.optimizer.iterations.numpy())
        now = make_optimizer(config, round(steps / len(rows) * epochs))
        now.iterations.assign(steps)
        rate = float(keras.ops.convert_to_numpy(now.learning_rate))
        _LOG.info(
            "the learning rate resumes at %.2g, on a cosine over %d epochs",
            rate,
            epochs,
        )


def read_history(directory: RunDirectory) -> list[dict[str, float]]:
    """Reads history.csv: one dict per epoch; empty if there is none.

    Raises:
        UserError: if it is damaged.
    """
    if not directory.history_file.exists():
        return []
    try:
        with directory.history_file.open(encoding="utf-8", newline="") as file:
            rows = [
                {name: float(value or "nan") for name, value in row.items()}
                for row in csv.DictReader(file)
            ]
        return [{**row, "epoch": int(row["epoch"])} for row in rows]
    except (ValueError, TypeError, KeyError, OverflowError, csv.Error) as error:
        raise UserError(f"{directory.history_file} is damaged ({error}).") from error
