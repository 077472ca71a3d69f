"""How many steps a run takes: its batch size, and whether the steps are too few."""

from __future__ import annotations

import dataclasses
import logging
import math

from kvae.training.config.config import Config
from kvae.training.data.pipeline import steps_per_epoch

_LOG = logging.getLogger("kvae")

FEW = 2000
"""Steps below which a VAE has hardly begun. On the bundled digits, the test ELBO is -6,
15, 23, 26 and 30 nats after 246, 492, 1025, 2050 and 4920 steps (recipe digits,
latent_dim=8)."""

EPOCHS = 50
"""Passes over the training set, if these are enough steps and none are given."""
_MOST_EPOCHS = 200
"""Of 43 pictures of squares, the validation ELBO falls from epoch 61 on, after 183 steps:
further ones only teach a model so few examples by heart."""

_STEPS_PER_EPOCH = 40
_SMALLEST, _LARGEST = 16, 128  # examples per step


def batch_size_for(config: Config, examples: int) -> int:
    """Finds the batch size of a configuration; if it is open, the data decide.

    Small data get small batches, so that an epoch has about 40 steps or more: powers of
    two from 16 to 128.

    Args:
        config: of the run.
        examples: N, of the training set.

    Returns:
        size: examples per step.
    """
    if config.batch_size is not None:
        return config.batch_size
    wanted = 2 ** int(math.log2(max(1, examples / _STEPS_PER_EPOCH)))
    return min(max(wanted, _SMALLEST), _LARGEST)


def choose_batch_size(config: Config, examples: int) -> Config:
    """Fills in the batch size if it is open, and says so."""
    if config.batch_size is not None:
        return config
    size = batch_size_for(config, examples)
    _LOG.info(
        "batch size %d, because there are %d training examples: %d steps per epoch",
        size,
        examples,
        steps_per_epoch(examples, size),
    )
    return dataclasses.replace(config, batch_size=size)


def choose_epochs(config: Config, examples: int) -> Config:
    """Fills in the number of epochs if it is open, and says so.

    50, or up to 200 if these are fewer steps than a VAE usually needs.
    """
    if config.epochs is not None:
        return config
    steps = steps_per_epoch(examples, batch_size_for(config, examples))
    epochs = min(max(EPOCHS, 10 * math.ceil(FEW / steps / 10)), _MOST_EPOCHS)
    why = ""
    if epochs > EPOCHS:
        why = f", because the ELBO usually rises for {FEW} steps or more"
    _LOG.info("%d epochs of %d steps%s", epochs, steps, why)
    return dataclasses.replace(config, epochs=epochs)


def advice_on_few_steps(
    config: Config, examples: int, epochs: int, resume: str = ""
) -> str | None:
    """Advises what to set if a run has too few steps.

    Args:
        config: of the run.
        examples: N, of the training set.
        epochs: how many are trained or planned.
        resume: the command that resumes the run, once it is trained.

    Returns:
        advice: such as "950 steps in 50 epochs are few ...: --epochs 110"; None if there
            are enough.
    """
    steps = steps_per_epoch(examples, batch_size_for(config, examples))
    if steps * epochs >= FEW:
        return None
    enough = 10 * math.ceil(FEW / steps / 10)
    few = (
        f"{steps * epochs} steps in {epochs} epoch{'s' if epochs > 1 else ''} are few: the "
        f"ELBO usually rises for {FEW} steps or more"
    )
    if resume:
        return f"{few}; extend the run with: {resume} --epochs {enough}"
    return f"{few} (--epochs {enough})"


def advice_on_overfitting(history: list[dict[str, float]]) -> str | None:
    """Advises to stop earlier if the validation ELBO fell for the last third or more.

    Args:
        history: one dict per epoch.

    Returns:
        advice: None if there was no validation, or its ELBO did not fall by a tenth of
            what it had risen.
    """
    elbos = [row["val_elbo"] for row in history if "val_elbo" in row]
    if not elbos:
        return None
    best = elbos.index(max(elbos))
    fell = elbos[best] - elbos[-1]
    if best + 1 > 2 * len(elbos) / 3 or fell <= 0.1 * (elbos[best] - elbos[0]):
        return None
    return (
        f"since epoch {best + 1}, the validation ELBO fell from {elbos[best]:.2f} to "
        f"{elbos[-1]:.2f} nats: the model learns the training examples by heart. To keep "
        f"the best epoch, train with --set early_stopping={max(5, len(elbos) // 10)}"
    )
