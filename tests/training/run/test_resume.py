"""`kvae train --resume`: killed runs end as if they had not been."""

import logging
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import small
from support.quick_runs import QUICK

from kvae.core.errors import UserError
from kvae.training import (
    Diverged,
    Run,
    RunDirectory,
    load_model_file,
    load_recipe,
    resume,
    train,
)
from kvae.training.commands.verbs import train as train_verb


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_the_same(tmp_path: pathlib.Path) -> None:
    """A real process and SIGKILL; benchmarks/kill.py does it twenty times."""
    settings = [*QUICK, "epochs=25", "checkpoint=1 epoch"]
    words = ["train", "digits", *(f"--set={s}" for s in settings), "--out", "killed"]
    command = [sys.executable, "-m", "kvae_cli", *words, "--quiet"]
    process = subprocess.Popen(command, env=small.environment(), cwd=tmp_path)
    killed = RunDirectory(tmp_path / "killed")
    while process.poll() is None and not list(killed.checkpoints.glob("0*.npz")):
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not killed.is_finished()
    whole = train(load_recipe("digits", settings=settings), tmp_path / "whole")
    again = resume(killed.path)
    history = [run.directory.history_file.read_bytes() for run in (whole, again)]
    assert history[0] == history[1]
    variables = ([*r.vae.variables, *r.vae.optimizer.variables] for r in (whole, again))
    for one, other in zip(*variables, strict=True):
        np.testing.assert_array_equal(one, other)


def test_divergence_keeps_the_last_good_weights(tmp_path: pathlib.Path) -> None:
    settings = [*QUICK, "learning_rate=1e30", "optimizer=sgd"]
    config = load_recipe("digits", settings=settings)
    with pytest.raises(
        Diverged, match="training diverged at step 2.*learning rate"
    ) as caught:
        train(config, tmp_path / "a")
    good = tmp_path / "a" / "last_good.keras"
    assert str(good) in str(caught.value)
    assert all(np.isfinite(w).all() for w in load_model_file(good).get_weights())
    assert not (tmp_path / "a" / "model.keras").exists()
    with pytest.raises(UserError, match="resume it with kvae train --resume"):
        train(config, tmp_path / "a")


@pytest.mark.slow
def test_over_large_gradients_are_left_out_and_counted(tmp_path: pathlib.Path) -> None:
    config = load_recipe("digits", settings=[*QUICK, "max_gradient_norm=1e-6"])
    run = train(config, tmp_path / "a")
    head, first, *_ = run.directory.history_file.read_text().splitlines()
    row = dict(zip(head.split(","), first.split(","), strict=True))
    assert float(row["skipped_steps"]) == 41  # one pass over 1294 examples, 32 each


@pytest.mark.slow
def test_a_finished_run_is_left_alone(
    trained: Callable[..., Run], caplog: pytest.LogCaptureFixture
) -> None:
    run = trained()
    before = run.directory.model_file.read_bytes()
    assert not run.directory.checkpoints.exists()
    with caplog.at_level(logging.INFO, "kvae"):
        again = resume(run.directory.path)
    assert "is finished" in caplog.text
    assert again.metrics == run.metrics
    assert run.directory.model_file.read_bytes() == before


@pytest.mark.parametrize(
    "given",
    [
        {"recipe": "mnist"},
        {"changes": {"latent_dim": 3}},
        {"settings": ["epochs=3"]},
        {"out": pathlib.Path("b")},
    ],
)
def test_resume_takes_no_changes(tmp_path: pathlib.Path, given: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"recipe": None, "changes": {}, "settings": None}
    with pytest.raises(UserError, match="with its own config.toml; the only other"):
        train_verb(**(arguments | {"out": None, "resume": tmp_path} | given))


def test_what_is_no_run_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UserError, match="there is no run"):
        resume(tmp_path / "none")
    with pytest.raises(UserError, match="has no config.toml"):
        resume(tmp_path)
