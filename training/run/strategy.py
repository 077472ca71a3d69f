"""Makes the distribution strategy of a configuration."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import tensorflow as tf

from kvae.core.errors import UserError

_LOG = logging.getLogger("kvae")


def make_strategy(name: str | None) -> tf.distribute.Strategy:
    """Makes the strategy of a configuration.

    Several workers find each other by the environment variable TF_CONFIG, and wait here
    until all are connected; TensorFlow must not have computed anything before.

    Args:
        name: "mirrored", all devices of this machine; "multi_worker", those of several
            machines; None, one device.

    Returns:
        strategy: TensorFlow's default one for a single device.

    Raises:
        UserError: if TF_CONFIG is missing or wrong, or the workers do not connect.
    """
    if name == "mirrored":
        return _mirrored()
    if name == "multi_worker":
        return _multi_worker()
    return tf.distribute.get_strategy()


def _mirrored() -> tf.distribute.Strategy:
    gpus = tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        _LOG.warning(
            'strategy="mirrored" found one device, %s: the run uses it alone.',
            devices[0].name,
        )
        return tf.distribute.get_strategy()
    names = [device.name for device in devices]
    # By default, CPUs would wait for each other in threads of one process.
    across = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, across)


def _multi_worker() -> tf.distribute.Strategy:
    workers, index = _read_cluster()
    _LOG.info("worker %d of %d: waiting for the others", index + 1, workers)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UserError(
            'strategy="multi_worker" must come first in a process, before TensorFlow '
            f"computes anything ({error}); start a new one."
        ) from error
    except tf.errors.OpError as error:
        reason = str(error.message).strip().splitlines()[0]
        raise UserError(
            f"the workers of TF_CONFIG did not connect ({reason}); check that all are "
            "running, that their addresses are right, and that their ports are free."
        ) from error


def _read_cluster() -> tuple[int, int]:
    """Reads the number of workers, and which one this is, from TF_CONFIG."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        raise UserError(
            'strategy="multi_worker" needs the environment variable TF_CONFIG, which '
            "names all workers and this one; docs/training.md shows it."
        )
    try:
        config: dict[str, Any] = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        chiefs = len(cluster.get("chief", []))
        total = chiefs + len(cluster["worker"])
        index = int(task["index"]) + (chiefs if task["type"] == "worker" else 0)
        known = task["type"] in ("chief", "worker") and 0 <= index < total
    except (ValueError, KeyError, TypeError, AttributeError):
        known = False
    if not known:
        raise UserError(
            'TF_CONFIG must look like {"cluster": {"worker": ["a:2222", "b:2222"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}; received {text}.'
        )
    return total, index
