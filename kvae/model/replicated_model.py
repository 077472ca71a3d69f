"""Keras' `compile`, `fit` and `evaluate` on several devices and machines."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kvae.fitting.replicas import on_workers, same_everywhere
from kvae.model.density_model import DensityModel

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


class ReplicatedModel(DensityModel):
    """Mends what Keras lacks under a `tf.distribute` strategy; without one, nothing.

    The arguments are those of `VAE`.
    """

    train_function: Any  # of Keras, which does not declare it

    def compile(self, **kwargs: Any) -> None:
        """Compiles as Keras does, but for what cannot run on several replicas.

        Raises:
            ValueError: for steps_per_execution, jit_compile or gradient accumulation.
        """
        super().compile(**kwargs)
        replicas = self.distribute_strategy.num_replicas_in_sync
        accumulated = getattr(self.optimizer, "gradient_accumulation_steps", None)
        wrong = [
            name
            for name, given in (
                ("steps_per_execution", kwargs.get("steps_per_execution", 1) != 1),
                ("jit_compile", kwargs.get("jit_compile") is True),
                ("gradient_accumulation_steps", accumulated is not None),
            )
            if given
        ]
        if wrong and replicas > 1:
            raise ValueError(
                f"Keras cannot train on {replicas} replicas with "
                f"{' and '.join(wrong)}; leave it out."
            )

    def fit(self, **kwargs: Any) -> Any:
        """Fits as Keras does, if all workers begin with the same weights.

        Raises:
            ValueError: if they do not.
        """
        if on_workers(self.distribute_strategy):
            weights = [np.asarray(weight) for weight in self.get_weights()]
            sums = b"".join(weight.tobytes() for weight in weights)
            if not same_everywhere(self.distribute_strategy, zlib.crc32(sums)):
                raise ValueError(
                    "the workers begin with different weights, which they would keep; "
                    "load the same file on all, or call keras.utils.set_random_seed "
                    "with the same seed before the model is made."
                )
            # Each takes its share of what it believes is the same batch.
            tf.random.set_seed(zlib.crc32(sums) % 2**31)
        return super().fit(**kwargs)

    def evaluate(self, **kwargs: Any) -> Any:
        """Evaluates as Keras does.

        Raises:
            WorkerLost: if another worker ended.
        """
        with self._workers_named():
            return super().evaluate(**kwargs)

    @contextlib.contextmanager
    def _workers_named(self) -> Iterator[None]:
        """Says what to do when another worker is lost."""
        try:
            yield
        except _CONNECTIONS as error:
            if not on_workers(self.distribute_strategy):
                raise
            found = _REPORTED.search(str(error.message))
            lost = f"worker {found[1]}" if found else "another worker"
            raise WorkerLost(
                f"{lost} ended or cannot be reached; look at its log, then start all "
                "workers again. With kvae.training.Checkpoint, as in kvae train "
                "--resume, they go on from the last checkpoint."
            ) from error

    def _maybe_symbolic_build(self, **kwargs: Any) -> None:
        """Makes the optimizer's variables.

        Keras would read a batch for it, which fails on several workers for any batch of
        more than x. The model is built before, from the data.
        """
        if self._distribute_strategy is None or not self.built:
            super()._maybe_symbolic_build(**kwargs)
        elif not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
