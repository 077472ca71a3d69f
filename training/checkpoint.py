"""Checkpoints from which training goes on bit for bit."""

from __future__ import annotations

import contextlib
import logging
import math
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kvae.training.callback_state import callback_states, set_callback_states
from kvae.training.checkpoint_folder import CheckpointFolder, Position
from kvae.training.divergence import Diverged
from kvae.training.errors import UserError
from kvae.training.interval import Interval
from kvae.training.repeatable import RepeatableData
from kvae.training.run_lock import run_lock
from kvae.training.stop_signals import StopSignals
from kvae.training.training_state import (
    bad_variables,
    random_states,
    read,
    set_random_states,
    state_variables,
    write,
)

_LOG = logging.getLogger("kvae")


class Checkpoint(keras.callbacks.Callback):
    """Saves a fit as it goes on, and continues it in the same place.

        vae.fit(x, epochs=100, callbacks=[kvae.training.Checkpoint("runs/a")])

    If the folder holds a checkpoint, `fit` begins where that was made, within an epoch
    too, and ends with the weights and the history, bit for bit, of a fit that was never
    interrupted. Saved are weights, optimizer, counters that schedules and noise depend
    on, states of seed generators, the metrics of the epoch that is going on, the
    history, and what Keras' callbacks for early stopping, learning rates and best
    models remember. Batches that were trained on are skipped; other callbacks see them
    go by.

    At SIGTERM and Ctrl-C training stops after the batch that is under way, and is saved.
    A second process on the same folder is refused. A damaged checkpoint is named, and
    the one before it is taken.

    Args:
        run_dir: folder of the run; checkpoints go into its subfolder `checkpoints`.
        every: how often to save: "1 minute", "500 steps", "2 epochs" or "never", which
            leaves the signals and the end.
        keep: how many checkpoints stay, at least 2.
        batches_from: makes the data set of `fit` from a given batch on, where
            `steps_per_epoch` is given; without it batches are read and thrown away.
        lock: False if the caller holds the lock of the run.

    Raises:
        UserError: if `every` is no interval.
    """

    # Batches are counted where they begin, which Keras never does in a thread.
    async_safe = True

    def __init__(
        self,
        run_dir: pathlib.Path | str,
        every: str = "1 minute",
        keep: int = 2,
        batches_from: Callable[[int], tf.data.Dataset] | None = None,
        lock: bool = True,
    ) -> None:
        super().__init__()
        path = pathlib.Path(run_dir).expanduser() / "checkpoints"
        self.folder = CheckpointFolder(path, keep)
        self.every = Interval.of(every)
        self.batches_from = batches_from
        self.lock = lock
        self.seconds = 0.0
        self._signals = StopSignals()
        self._data: Any = None
        self._others: list[Any] = []
        self._resumed: tuple[Position, list[Any], dict[str, Any]] | None = None
        self._position = self._saved = Position()
        self._began = self._saved_at = 0.0
        self._steps = 0  # since the last checkpoint
        self._reached = 0  # steps of this epoch, once those under way are done
        self._train_function: Any = None  # of Keras, while ours stands in its place

    @contextlib.contextmanager
    def around_fit(
        self, model: Any, arguments: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Holds lock and signals while `fit` runs, and puts model and data in place.

        `kvae.VAE.fit` calls it.

        Args:
            model: the VAE that is trained, built and compiled.
            arguments: of `fit`, by name.

        Yields:
            arguments: of `fit`, from where the last checkpoint was made.

        Raises:
            UserError: if another process holds the folder, its checkpoints are of
                another model, or the data cannot be had again.
        """
        with contextlib.ExitStack() as stack:
            if self.lock:
                stack.enter_context(run_lock(self.folder.path / "lock"))
            self.folder.clean()
            self._resumed = self.folder.load()
            arguments = self._placed(model, dict(arguments))
            stack.enter_context(self._signals.caught())
            try:
                yield arguments
            finally:
                self._stop_skipping(model)

    def _placed(self, model: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        position, first_batch = Position(), 0
        first_epoch = arguments.get("initial_epoch") or 0
        if self._resumed is not None:
            position, arrays, facts = self._resumed
            state, _ = state_variables(model)
            write(state, arrays[: facts["state"]])
            set_random_states(facts["random"])
            self.seconds = facts["seconds"]
            self._compare(model, position, facts)
            arguments["initial_epoch"] = (
                arguments.get("epochs", 1) if facts["stopped"] else position.epoch
            )
            per_execution = model.steps_per_execution
            per_epoch = math.ceil(
                (arguments.get("steps_per_epoch") or 0) / per_execution
            )
            executions = (position.epoch - first_epoch) * per_epoch
            executions += math.ceil(position.step / per_execution)
            first_batch = executions * per_execution
            _LOG.info("going on from %s", position)
        if self.batches_from is not None:
            arguments["x"] = self.batches_from(first_batch)
            first_batch = 0
        seed = int(model.noise_seed.numpy()) % 2**31
        self._data = RepeatableData(arguments, seed, first_batch)
        given = keras.tree.flatten(arguments.get("callbacks") or [])
        self._others = [callback for callback in given if callback is not self]
        self._position = self._saved = position
        # First in the list: what others do to the weights for their own ends, such as
        # putting averages in place while an epoch is measured, comes after.
        return {**self._data.arguments, "callbacks": [self, *self._others]}

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._began = self._saved_at = time.monotonic()
        self._steps = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Puts callbacks and metrics back, or saves what the epoch before has ended."""
        self._data.begin(epoch)
        if self._resumed is not None:
            self._restore()
            if self._position.step:
                self._skip(self._position.step)
            return
        self._position = Position(epoch, 0)
        self._save_if_due()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Saves what the batches before have come to, if it is time."""
        self._reached = batch + self.model.steps_per_execution
        if batch > self._position.step:
            self._steps += batch - self._position.step
            self._position = Position(self._position.epoch, batch)
            self._save_if_due()

    def on_test_begin(self, logs: Any = None) -> None:
        """Saves before a validation, which may be long, if it is time."""
        if self._reached > self._position.step:  # else no batch was trained on
            self._steps += self._reached - self._position.step
            self._position = Position(self._position.epoch, self._reached)
            self._save_if_due()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes that the epoch has ended; it is saved when all callbacks have."""
        self._stop_skipping(self.model)
        self._position = Position(epoch + 1, 0)

    def on_train_end(self, logs: Any = None) -> None:
        """Saves the end, so that nothing is lost before the model is."""
        if self._resumed is not None:  # there was nothing left to train
            self._restore()
            return
        self._save()
        self._signals.act()

    def _save_if_due(self) -> None:
        waited = time.monotonic() - self._saved_at
        epochs = self._position.epoch - self._saved.epoch
        due = self.every.passed(epochs, self._steps, waited)
        if due or self._signals.pending is not None:
            self._save()
            self._signals.act()

    def _save(self) -> None:
        if bad := bad_variables(self.model):
            raise Diverged(
                f"training diverged before {self._position}: {bad[0]} holds values that "
                "are no numbers, so it is not saved."
            )
        state, metrics = state_variables(self.model)
        arrays = [*read(state), *read(metrics)]
        seconds = self.seconds + time.monotonic() - self._began
        facts = {
            "state": len(state),
            "metrics": len(metrics),
            "callbacks": callback_states([*self._others, self.model.history], arrays),
            "random": random_states(),
            "seconds": seconds,
            "stopped": bool(self.model.stop_training),
            "fit": self._fit_facts(self.model),
        }
        path = self.folder.save(self._position, arrays, facts)
        self._saved, self._saved_at, self._steps = self._position, time.monotonic(), 0
        if self._signals.pending is not None:
            _LOG.warning("stopping; %s is saved in %s", self._position, path)

    def _restore(self) -> None:
        assert self._resumed is not None
        _, arrays, facts = self._resumed
        self._resumed = None
        _, metrics = state_variables(self.model)
        end = facts["state"] + facts["metrics"]
        write(metrics, arrays[facts["state"] : end])
        callbacks = [*self._others, self.model.history]
        set_callback_states(callbacks, facts["callbacks"], arrays)

    def _skip(self, steps: int) -> None:
        """Lets the batches go by that were trained on before."""
        per_execution = self.model.steps_per_execution
        left = math.ceil(steps / per_execution)
        logs = self.model.get_metrics_result()
        self._train_function = self.model.train_function

        def train_function(iterator: Any) -> Any:
            nonlocal left
            left -= 1
            if self._data.draws:
                for _ in range(per_execution):
                    next(iterator, None)
            if not left:
                self._stop_skipping(self.model)
            return logs

        self.model.train_function = train_function

    def _stop_skipping(self, model: Any) -> None:
        if self._train_function is not None:
            model.train_function = self._train_function
            self._train_function = None

    def _fit_facts(self, model: Any) -> dict[str, Any]:
        return {
            "steps_per_execution": model.steps_per_execution,
            "jit_compile": bool(model.jit_compile),
            "precision": model.dtype_policy.name,
        }

    def _compare(self, model: Any, position: Position, facts: dict[str, Any]) -> None:
        for name, now in self._fit_facts(model).items():
            then = facts["fit"][name]
            if now == then:
                continue
            if name == "steps_per_execution" and position.step:
                raise UserError(
                    f"the checkpoint was made within an epoch with {name}={then}; "
                    f"resume with it (received {now})."
                )
            _LOG.warning(
                "%s was %s and is %s: the run goes on, but not as it would have.",
                name,
                then,
                now,
            )
