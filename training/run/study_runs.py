"""The runs of a study: one after another here, or several at once in processes."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import pathlib
import subprocess
import sys
import time
from typing import Any

import tensorflow as tf

from kvae.core.atomic import make_folder, write_json
from kvae.core.errors import UserError, user_errors
from kvae.core.quiet import quiet
from kvae.training.config.config import Config
from kvae.training.run.measure import measure_part
from kvae.training.run.number_of_steps import EPOCHS
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.runner import load_run_data, resume, train

_LOG = logging.getLogger("kvae")
_MOST = 8  # processes by default: each takes about a gigabyte of memory
_SECONDS = 60.0  # between lines that say how far the runs are
_LOOK = 0.2  # seconds between looks at the processes
_WORKER = "kvae.training.run.study_worker"
_MISTAKE = 2  # exit status: the last line of the log says what the user can do

MEASURED = ("elbo", "rate", "distortion", "active_units")
"""What is read from each run's metrics of the test set."""
CHOOSING = "validation_elbo"
"""The number that values are chosen by; missing if a study has no validation set."""


def run_configs(
    configs: dict[str, Config], out: pathlib.Path, workers: int | None = None
) -> dict[str, dict[str, float]]:
    """Trains what is missing; a finished run is read, an interrupted one is resumed.

    Args:
        configs: by the name of the run.
        out: the folder of the study; a run is in a folder of its name there.
        workers: runs at once, each in a process of its own; None chooses.

    Returns:
        measured: by the name of the run.

    Raises:
        UserError: if a folder holds a run with another configuration, or a run fails.
    """
    for name, config in configs.items():
        if RunDirectory(out / name).config_file.is_file():
            _check_same(out / name, config)
    missing = {n: c for n, c in configs.items() if not _is_measured(out / n)}
    if missing:
        at_once, why = choose_workers(len(missing), workers)
        _LOG.info("%s", why)
        progress = _Progress(missing, out, len(configs))
        if at_once == 1:
            for name, config in missing.items():
                with quiet("tensorflow"):  # says that every model has graphs of its own
                    train_and_measure(out / name, config)
                progress.finished(name)
        else:
            _train_at_once(missing, out, at_once, progress)
    return {name: read_numbers(out / name) for name in configs}


def choose_workers(num_runs: int, workers: int | None = None) -> tuple[int, str]:
    """Chooses how many runs are trained at once, and says why.

    Args:
        num_runs: that are missing.
        workers: asked for; None chooses.

    Returns:
        workers: at most `num_runs`.
        sentence: for the user.
    """
    cores = _num_cores()
    why = f"{cores} core{'s' if cores > 1 else ''}"
    if workers is None:
        workers = min(cores, _MOST)
        if tf.config.list_physical_devices("GPU"):
            workers, why = 1, "they would share a GPU"
        elif cores > _MOST:
            why += f", and each run takes about 1 GB of memory, so at most {_MOST}"
        why += "; --workers changes it"
    else:
        why += f", and --workers is {workers}"
    workers = min(workers, num_runs)
    if workers == 1:
        return 1, f"runs are trained one after another ({why})"
    threads = max(1, cores // workers)
    shared = f"{threads} thread{'s' if threads > 1 else ''}"
    return workers, f"{workers} runs at once, in processes with {shared} each ({why})"


def train_and_measure(path: pathlib.Path, config: Config) -> None:
    """Trains or resumes a run, and measures it on its validation set.

    Args:
        path: the run directory, which may not exist.
        config: of the run.
    """
    directory = RunDirectory(path)
    run = resume(path) if directory.config_file.is_file() else train(config, path)
    found: dict[str, Any] = {}
    if len(run.data.validation):
        found = measure_part(run.vae, run.data, run.config, "validation")
    write_json(_validation_file(path), found)  # {}: there was nothing to measure


def read_numbers(path: pathlib.Path) -> dict[str, float]:
    """Reads what a finished run measured: of `MEASURED`, `CHOOSING`, and its seconds."""
    metrics = RunDirectory(path).read_metrics()
    test = metrics.get("test") or metrics["test_as_trained"]
    found = {name: float(test[name]["value"]) for name in MEASURED}
    if validation := json.loads(_validation_file(path).read_text(encoding="utf-8")):
        found[CHOOSING] = float(validation["elbo"]["value"])
    return {**found, "seconds": float(metrics["training"]["seconds"])}


class _Progress:
    """Says how far a study is, and how long the rest will take.

    Args:
        missing: configurations of the runs to train, by name.
        out: the folder of the study.
        total: runs of the study, with those that were there already.
    """

    def __init__(
        self, missing: dict[str, Config], out: pathlib.Path, total: int
    ) -> None:
        # Those of small data, which a run chooses itself, are not known before it.
        self._epochs = {name: c.epochs or EPOCHS for name, c in missing.items()}
        self._out = out
        self._total = total
        self._done: set[str] = set()
        self._began = self._said = time.monotonic()
        self._before = sum(self._epochs_done(name) for name in missing)

    def finished(self, name: str) -> None:
        """Says that a run is finished, with its numbers."""
        self._done.add(name)
        numbers = read_numbers(self._out / name)
        self._say(f"{name}: test ELBO {numbers['elbo']:.2f}, {self._count()}")

    def running(self, names: list[str]) -> None:
        """Says once a minute how far each run is."""
        if time.monotonic() - self._said < _SECONDS:
            return
        each = [f"{n} at {self._epochs_done(n)} of {self._epochs[n]}" for n in names]
        self._say(f"epochs: {'; '.join(each)}; {self._count()}")

    def _say(self, words: str) -> None:
        self._said = time.monotonic()
        done = sum(self._epochs_done(name) for name in self._epochs)
        left = sum(self._epochs.values()) - done
        if done > self._before and left:
            seconds = (self._said - self._began) / (done - self._before) * left
            words += f"; about {math.ceil(seconds / 60)} min left"
        _LOG.info("%s", words)

    def _count(self) -> str:
        done = self._total - len(self._epochs) + len(self._done)
        return f"{done} of {self._total} runs finished"

    def _epochs_done(self, name: str) -> int:
        if name in self._done:
            return self._epochs[name]
        try:
            text = RunDirectory(self._out / name).history_file.read_text("utf-8")
        except OSError:
            return 0
        return min(max(text.count("\n") - 1, 0), self._epochs[name])


@dataclasses.dataclass
class _Worker:
    """A process that trains one run; its log is a file of the study.

    Attributes:
        process: the process.
        log: the file.
    """

    process: subprocess.Popen[str]
    log: pathlib.Path

    @classmethod
    def start(
        cls, path: pathlib.Path, config: Config, threads: int, log: pathlib.Path
    ) -> _Worker:
        """Starts a process. Ctrl-C doesn't reach it; it ends when its input closes."""
        imports_from = os.pathsep.join(filter(None, sys.path))
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", _WORKER],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": imports_from},
            )
        asked = {"path": str(path), "config": config.to_dict(), "threads": threads}
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its exit status will say more
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
        return cls(process, log)

    def end(self) -> int:
        """Waits for the process, and returns its exit status."""
        status = self.process.wait()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        return status

    def check(self, name: str) -> None:
        """Waits for the process, and raises UserError if it has failed."""
        status = self.end()
        if status == 0:
            return
        if status == _MISTAKE:
            lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
            why = [line for line in lines if line.strip()][-1]
        elif status < 0:
            why = (
                f"it was ended by signal {-status}, often for lack of memory. Use fewer "
                "--workers."
            )
        else:
            why = f"it ended with status {status}; {self.log} says why."
        raise UserError(
            f"the run {name} failed: {why} The same command resumes the study; what is "
            "finished stays."
        )


def _train_at_once(
    missing: dict[str, Config], out: pathlib.Path, at_once: int, progress: _Progress
) -> None:
    for config in {c.data: c for c in missing.values()}.values():
        load_run_data(config)  # once, before several processes download the same
    logs = out / "logs"
    with user_errors():
        make_folder(logs)
    threads = max(1, _num_cores() // at_once)
    waiting = list(missing)
    running: dict[str, _Worker] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                log = logs / f"{name}.log"
                running[name] = _Worker.start(out / name, missing[name], threads, log)
            time.sleep(_LOOK)
            for name in [n for n, w in running.items() if w.process.poll() is not None]:
                running.pop(name).check(name)
                progress.finished(name)
            progress.running(list(running))
    except BaseException:
        if running:
            _LOG.info(
                "stopping %d run%s, saved first; the same command resumes the study",
                len(running),
                "s" if len(running) > 1 else "",
            )
        raise
    finally:
        for worker in running.values():
            worker.process.terminate()
        for worker in running.values():
            worker.end()


def _check_same(path: pathlib.Path, config: Config) -> None:
    kept = RunDirectory(path).read_config().to_dict()
    wanted = config.to_dict()
    # What a run itself decides is None before it begins; locations may be made absolute.
    differing = [
        key
        for key, value in wanted.items()
        if value is not None and key not in ("data", "data_dir") and kept[key] != value
    ]
    if differing:
        key = differing[0]
        raise UserError(
            f"{path} holds a run with {key}={kept[key]!r}; this study has "
            f"{wanted[key]!r}. Choose another --out."
        )


def _is_measured(path: pathlib.Path) -> bool:
    return RunDirectory(path).is_finished() and _validation_file(path).is_file()


def _validation_file(path: pathlib.Path) -> pathlib.Path:
    return path / "validation.json"


def _num_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
