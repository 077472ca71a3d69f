"""Checks all examples of a run once, before training."""

from __future__ import annotations

import logging
import time
from typing import Any

from kvae.core.errors import UserError, user_errors
from kvae.training.config.config import Config
from kvae.training.data.sources import DataSet, ExamplesOnDisk

_LOG = logging.getLogger("kvae")


def check_examples(vae: Any, config: Config, data: DataSet) -> None:
    """Checks all examples of a pipeline, of which Keras sees only batches.

    Examples on disk are read once, a few at a time; the log reports progress.

    Args:
        vae: built.
        config: of the run.
        data: of the run.

    Raises:
        UserError: if an example does not fit the model, or a file cannot be read.
    """
    for part in ("train", "test"):
        inputs = data.inputs(part, config.condition)
        if part == "train" and isinstance(data.train, ExamplesOnDisk):
            labels = inputs["condition"] if config.condition else None
            _check_on_disk(vae, config, data, labels)
            continue
        with user_errors(f"{data.name}, {part} part"):
            vae.check_inputs(inputs)


def _check_on_disk(vae: Any, config: Config, data: DataSet, labels: Any) -> None:
    count = len(data.train)
    _LOG.info("%s: reading all %d examples once, to check them", data.name, count)
    said = time.monotonic()
    for first, x in data.train.chunks():
        end = first + len(x)
        with user_errors(f"{data.name}, examples {first} to {end - 1}"):
            _check_range(config, data, x)
            chunk = None if labels is None else labels[first:end]
            vae.check_inputs(x if chunk is None else {"x": x, "condition": chunk})
        if time.monotonic() - said > 10:
            _LOG.info("%s: %.0f %% checked", data.name, 100 * end / count)
            said = time.monotonic()


def _check_range(config: Config, data: DataSet, x: Any) -> None:
    """Checks that the sample that chose scale and binarization stands for all."""
    integers = data.train.dtype.kind in "iu"
    if data.pixel_range != (0.0, 1.0) or not (integers or config.binarize == "dynamic"):
        return
    low, high = float(x.min()), float(x.max())
    if not (
        low < 0 or high > 1
    ):  # NaN is left to the check of the model, which names it
        return
    divisor = data.train.divisor
    raise UserError(
        f"pixels range from {low * divisor:g} to {high * divisor:g}, while a sample of "
        f"the examples reached {divisor:g} at most. State the maximum of a pixel, for "
        "example --set pixel_max=255, or scale the files."
    )
