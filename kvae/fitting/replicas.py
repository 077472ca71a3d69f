"""What training on several devices or machines needs beyond Keras."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.types import Tensor
from kvae.noise import Noise

_CONNECTIONS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)

_REPORTED = re.compile(r"rror reported from /job:\w+/(?:replica:\d+/)?task:(\d+)")


class WorkerLost(RuntimeError):
    """Another worker of the same training ended, or cannot be reached."""


def on_workers(strategy: tf.distribute.Strategy) -> bool:
    """Whether a strategy spans several processes, as TF_CONFIG says."""
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.num_replicas_in_sync > 1
        and bool(strategy.cluster_resolver.cluster_spec())
    )


def fold_replica(noise: Noise) -> Noise:
    """Gives each replica its own noise; a single replica keeps the noise as it is."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return noise
    return noise.fold(context.replica_id_in_sync_group)


def whole_gradients(gradients: list[Tensor], optimizer: Any) -> list[Tensor]:
    """Adds up gradients before an optimizer that looks at their size.

    Keras clips gradients, and looks for overflow in half precision, before it adds up
    those of the replicas. But a clipped sum is not the sum of clipped parts, and
    replicas that disagree about an overflow wait for each other forever. So the first
    replica passes on the sum, and the others zeros.

    Args:
        gradients: of this replica.
        optimizer: that will apply them.

    Returns:
        gradients: unchanged if there is one replica, or nothing is clipped.
    """
    context = tf.distribute.get_replica_context()
    limits = ("clipnorm", "clipvalue", "global_clipnorm")
    if context is None or context.num_replicas_in_sync == 1:
        return gradients
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer) and all(
        getattr(optimizer, limit) is None for limit in limits
    ):
        return gradients
    given = [tf.convert_to_tensor(g) for g in gradients if g is not None]
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, given))
    first = tf.equal(context.replica_id_in_sync_group, 0)
    # Multiplied, not selected: if the sum overflows, all replicas must see it.
    return [
        None if g is None else (s := next(sums)) * tf.cast(first, s.dtype)
        for g in gradients
    ]


def reducible(logs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gives logs the axis over which Keras averages them between workers.

    Without it `fit` fails with "Invalid reduction dimension 0 for input with 0
    dimensions" (keras-team/keras#20585).
    """
    if not on_workers(tf.distribute.get_strategy()):
        return logs
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}


def add_up(strategy: tf.distribute.Strategy, values: list[float]) -> np.ndarray:
    """Sums numbers over all replicas, and so waits for all workers.

    Args:
        strategy: of several workers.
        values: as many on each worker, the same for all its replicas.

    Returns:
        sums: (n,) float64.
    """
    given = tf.constant(values, tf.float64)
    added = strategy.run(_add_up, args=(given,))
    return strategy.experimental_local_results(added)[0].numpy()


@tf.function
def _add_up(values: Tensor) -> Tensor:
    context = tf.distribute.get_replica_context()
    placed = tf.identity(values)  # an argument of a function lies on no device
    return context.all_reduce(tf.distribute.ReduceOp.SUM, placed)


def same_everywhere(strategy: tf.distribute.Strategy, value: int) -> bool:
    """Returns whether all workers hold the same number, below 2**32, to all of them."""
    (total,) = add_up(strategy, [float(value)])
    # If they differ, not all of them can be the mean.
    differs = total != float(value) * strategy.num_replicas_in_sync
    return not add_up(strategy, [float(differs)])[0]


def check_compile_arguments(
    strategy: tf.distribute.Strategy, optimizer: Any, arguments: dict[str, Any]
) -> None:
    """Raises if Keras cannot train as asked on several replicas.

    Args:
        strategy: of the model.
        optimizer: of the model.
        arguments: further ones of `compile`.

    Raises:
        ValueError: for steps_per_execution, jit_compile or gradient accumulation.
    """
    replicas = strategy.num_replicas_in_sync
    accumulated = getattr(optimizer, "gradient_accumulation_steps", None)
    wrong = [
        name
        for name, given in (
            ("steps_per_execution", arguments.get("steps_per_execution", 1) != 1),
            ("jit_compile", arguments.get("jit_compile") is True),
            ("gradient_accumulation_steps", accumulated is not None),
        )
        if given
    ]
    if wrong and replicas > 1:
        raise ValueError(
            f"Keras cannot train on {replicas} replicas with "
            f"{' and '.join(wrong)}; leave it out."
        )


def check_same_weights(model: Any) -> None:
    """Raises if the workers of a model begin with different weights.

    Args:
        model: built.

    Raises:
        ValueError: if they do.
    """
    strategy = model.distribute_strategy
    if not on_workers(strategy):
        return
    weights = [np.asarray(weight) for weight in model.get_weights()]
    checksum = zlib.crc32(b"".join(weight.tobytes() for weight in weights))
    if not same_everywhere(strategy, checksum):
        raise ValueError(
            "the workers begin with different weights, and would keep them; load the "
            "same file on all, or call keras.utils.set_random_seed with the same seed "
            "before the model is made."
        )
    # Each takes its share of what it believes is the same batch.
    tf.random.set_seed(checksum % 2**31)


@contextlib.contextmanager
def workers_named(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Says what to do when another worker is lost in this block.

    Raises:
        WorkerLost: in place of TensorFlow's error about a lost connection.
    """
    try:
        yield
    except _CONNECTIONS as error:
        if not on_workers(strategy):
            raise
        found = _REPORTED.search(str(error.message))
        lost = f"worker {found[1]}" if found else "another worker"
        raise WorkerLost(
            f"{lost} ended or cannot be reached; look at its log, then start all "
            "workers again. With kvae.training.Checkpoint, as in kvae train "
            "--resume, they resume from the last checkpoint."
        ) from error
