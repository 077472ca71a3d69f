"""Checkpoints from which training resumes bit for bit."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kvae.training.checkpoint.callback_state import no_saves, set_callback_states
from kvae.training.checkpoint.checkpoint_folder import CheckpointFolder, Position
from kvae.training.checkpoint.diagnosis import diagnose
from kvae.training.checkpoint.divergence import ADVICE, Diverged, StopOnDivergence
from kvae.training.checkpoint.repeatable import RepeatableData
from kvae.training.checkpoint.resume_check import compare_fit_facts, compare_owners
from kvae.training.checkpoint.run_lock import run_lock
from kvae.training.checkpoint.skipped_steps import SkippedSteps
from kvae.training.checkpoint.snapshot import snapshot
from kvae.training.checkpoint.stop_signals import StopSignals
from kvae.training.checkpoint.training_state import (
    bad_variables,
    set_random_states,
    state_variables,
    write,
)
from kvae.training.checkpoint.workers import Workers
from kvae.training.config.interval import Interval

_LOG = logging.getLogger("kvae")


class Checkpoint(keras.callbacks.Callback):
    """Saves a fit while it runs, and resumes it at the same place.

        vae.fit(x, epochs=100, callbacks=[kvae.training.Checkpoint("runs/a")])

    If the folder holds a checkpoint, `fit` resumes from it, even within an epoch, and
    ends with the weights and the history, bit for bit, of a fit that was never
    interrupted. A checkpoint holds the weights, the optimizer, counters that schedules
    and noise depend on, states of seed generators, the metrics of the current epoch,
    the history, and what Keras' callbacks for early stopping, learning rates and best
    models remember. Batches that were already trained on are skipped, but other
    callbacks are called for them.

    On SIGTERM and Ctrl-C, training stops after the current batch, and is saved. A
    second process on the same folder is refused. If a checkpoint is damaged, the log
    names it, and the one before it is used. Of several workers, the first one writes,
    all read the same folder, and all stop when one is asked to.

    Args:
        run_dir: folder of the run; checkpoints go into its subfolder `checkpoints`.
        every: how often to save: "1 minute", "500 steps", "2 epochs" or "never", which
            saves only on signals and at the end.
        keep: how many checkpoints to keep, at least 2.
        batches_from: makes the data set of `fit` from a given batch on, if
            `steps_per_epoch` is given; without it, batches are read and discarded.
        lock: False if the caller holds the lock of the run.
        belongs_to: what decides the numbers of the run, as JSON types; a checkpoint
            that was saved with other values is refused. None compares nothing.

    Raises:
        UserError: if `every` is not an interval.
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
        belongs_to: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        path = pathlib.Path(run_dir).expanduser() / "checkpoints"
        self.folder = CheckpointFolder(path, keep)
        self.every = Interval.of(every)
        self.batches_from = batches_from
        self.lock = lock
        self.belongs_to = belongs_to
        self.seconds = 0.0
        self._signals = StopSignals()
        self._workers = Workers(tf.distribute.get_strategy())
        self._data: Any = None
        self._others: list[Any] = []
        self._resumed: tuple[Position, list[Any], dict[str, Any]] | None = None
        self._position = Position()
        self._saved: Position | None = None
        self._began = self._saved_at = 0.0
        self._steps = 0  # since the last checkpoint
        self._reached = 0  # steps of this epoch, once the current ones are done
        self._skipped: SkippedSteps | None = None

    @contextlib.contextmanager
    def around_fit(
        self, model: Any, arguments: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """Holds lock and signals while `fit` runs, and restores model and data.

        `kvae.VAE.fit` calls it.

        Args:
            model: the VAE that is trained, built and compiled.
            arguments: of `fit`, by name.

        Yields:
            arguments: of `fit`, from the last checkpoint on.

        Raises:
            UserError: if another process holds the folder, its checkpoints are of
                another model, or the data can't be read again.
        """
        self._workers = Workers(model.distribute_strategy)
        with contextlib.ExitStack() as stack:
            if self.lock and self._workers.is_first:
                stack.enter_context(run_lock(self.folder.path / "lock"))
            self._resumed = self._load()
            arguments = self._placed(model, dict(arguments))
            stack.enter_context(self._signals.caught())
            try:
                yield arguments
            except Diverged as error:
                self._stop_skipping()
                raise self._explained(model, error) from error
            finally:
                self._stop_skipping()

    def _load(self) -> tuple[Position, list[Any], dict[str, Any]] | None:
        found = None
        if self._workers.is_first:
            self.folder.clean()
            found = self.folder.load()
        self._workers.wait()  # damaged files are set aside before the others look
        return found if self._workers.is_first else self.folder.load()

    def _placed(self, model: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        given = keras.tree.flatten(arguments.get("callbacks") or [])
        self._others = [callback for callback in given if callback is not self]
        begins: dict[str, Any] = {}
        position = Position(arguments.get("initial_epoch") or 0)
        if self._resumed is not None:
            position, arrays, facts = self._resumed
            compare_owners(self.folder.path, facts.get("belongs_to"), self.belongs_to)
            compare_fit_facts(model, position, facts["fit"])
            state, _ = state_variables(model)
            write(state, arrays[: facts["state"]])
            set_random_states(facts["random"])
            self.seconds = facts["seconds"]
            last = arguments.get("epochs", 1)
            begins["initial_epoch"] = last if facts["stopped"] else position.epoch
            _LOG.info("resuming from %s", position)
        seed = int(model.noise_seed.numpy()) % 2**31
        per_execution = model.steps_per_execution
        self._data = RepeatableData(arguments, seed, per_execution, self.batches_from)
        self._position, self._saved = position, None
        # First in the list, before other callbacks change the weights for a while, for
        # example to averages while an epoch is measured.
        callbacks = [self, *self._others]
        return {**self._data.arguments_at(position), **begins, "callbacks": callbacks}

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the clock."""
        self._began = self._saved_at = time.monotonic()
        self._steps = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restores callbacks and metrics, or saves the end of the last epoch."""
        self._data.begin(epoch)
        self._reached = 0
        if self._resumed is None:
            self._position = Position(epoch, 0)
            self._save_if_due()
            return
        self._restore()
        if steps := self._position.step:
            self._skipped = SkippedSteps(self.model, steps, self._data.draws)
            no_saves(self._others)
        else:
            self._resumed = None

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Saves the result of the batches so far, if it is time."""
        self._reached = batch + self.model.steps_per_execution
        if batch >= self._position.step:
            self._stop_skipping()
        if batch > self._position.step:
            self._steps += batch - self._position.step
            self._position = Position(self._position.epoch, batch)
            self._save_if_due()

    def on_test_begin(self, logs: Any = None) -> None:
        """Saves before a validation, which may be long, if it is time."""
        self._stop_skipping()
        if self._reached > self._position.step:  # else no batch was trained on
            self._steps += self._reached - self._position.step
            self._position = Position(self._position.epoch, self._reached)
            self._save_if_due()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes that the epoch has ended; it is saved when all callbacks have run."""
        self._stop_skipping()
        self._position = Position(epoch + 1, 0)

    def on_train_end(self, logs: Any = None) -> None:
        """Saves the end, so that nothing is lost before the model is saved."""
        if self._resumed is not None:  # there was nothing left to train
            self._restore()
            return
        self._save_if_due(True)

    def _save_if_due(self, due: bool = False) -> None:
        if self._saved is None:  # the start, to go back to if training diverges
            due = True
        elif not due:
            waited = time.monotonic() - self._saved_at
            epochs = self._position.epoch - self._saved.epoch
            due = self.every.passed(epochs, self._steps, waited)
        due, stop = self._workers.any(due, self._signals.pending is not None)
        if stop and self._signals.pending is None:  # another worker was asked
            self._signals.pending = signal.SIGTERM
        if due or stop:
            self._save()
            self._signals.act()

    def _save(self) -> None:
        if bad := bad_variables(self.model):
            raise Diverged(
                f"training diverged before {self._position}: {bad[0]} holds NaN or "
                "infinite values, so no checkpoint was saved."
            )
        arrays, facts = snapshot(
            self.model,
            [*self._others, self.model.history],
            self.seconds + time.monotonic() - self._began,
            self.belongs_to,
        )
        if self._workers.is_first:
            self.folder.save(self._position, arrays, facts)
        self._saved, self._saved_at, self._steps = self._position, time.monotonic(), 0
        if self._signals.pending is not None:
            _LOG.warning(
                "stopping; %s is saved in %s", self._position, self.folder.path
            )

    def _restore(self) -> None:
        assert self._resumed is not None
        self._saved, arrays, facts = self._resumed
        state, metrics = state_variables(self.model)
        write([*state, *metrics], arrays[: facts["state"] + facts["metrics"]])
        set_random_states(facts["random"])
        callbacks = [*self._others, self.model.history]
        set_callback_states(callbacks, facts["callbacks"], arrays)

    def _stop_skipping(self) -> None:
        if self._skipped is not None:
            self._skipped.stop()
            self._skipped = None
            self._restore()  # other callbacks saw the epoch begin once more
            self._resumed = None

    def _explained(self, model: Any, error: Diverged) -> Diverged:
        """Goes back to the last checkpoint and finds the step and layer from there."""
        loaded = self.folder.load()
        if loaded is None:
            return error
        good, arrays, facts = loaded
        state, _ = state_variables(model)
        write(state, arrays[: facts["state"]])
        stop = next((c for c in self._others if isinstance(c, StopOnDivergence)), None)
        watch = StopOnDivergence() if stop is None else StopOnDivergence(stop.growth)
        if stop is not None and good != Position():  # else the first loss would recur
            watch.first = stop.first
        end = Position(self._position.epoch, max(self._reached, self._position.step))
        found = None
        if model.distribute_strategy.num_replicas_in_sync == 1:
            found = diagnose(model, self._data.between(good, end), watch.is_bad)
        if found is None:
            write(state, arrays[: facts["state"]])
            return Diverged(
                f"{error} It did not recur from {good} on; the weights are those of "
                f"{good}, saved in {self.folder.path}."
            )
        return Diverged(
            f"training diverged at step {found.step}: the loss of its batch is "
            f"{found.loss:g}, and {found.place}. {ADVICE} The weights before it are "
            f"kept; {good} is saved in {self.folder.path}."
        )
