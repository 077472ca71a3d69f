"""`kvae train --resume`: killed runs end as if they had not been."""

import logging
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support import small

from kvae.core.errors import UserError
from kvae.training import Diverged, load_model_file, load_recipe, resume, train
from kvae.training.commands.verbs import train as train_verb

ROOT = pathlib.Path(__file__).parents[3]
QUICK = [
    "epochs=2",
    "encoder.units=[16]",
    "decoder.units=[16]",
    "validation=100",
    "fit_prior=",
]


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_the_same() -> None:
    """Real processes and SIGKILL; the benchmark does it twenty times."""
    script = ROOT / "benchmarks" / "kill.py"
    settings = [
        f"--set={s}" for s in (*QUICK[1:], "epochs=25", "steps_per_execution=5")
    ]
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "2", "--seed", "4", *settings],
        env=small.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "0 differ; history.csv is the same" in done.stdout


def test_divergence_keeps_the_last_good_weights(tmp_path: pathlib.Path) -> None:
    settings = [*QUICK, "learning_rate=1e30", "optimizer=sgd"]
    config = load_recipe("digits", settings=settings)
    with pytest.raises(Diverged, match="diverged at step 2.*learning rate") as caught:
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
    assert float(row["skipped_steps"]) == 42  # one pass over 1338 examples, 32 each


@pytest.mark.slow
def test_a_finished_run_is_left_alone(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(load_recipe("digits", settings=QUICK), tmp_path / "a")
    before = run.directory.model_file.read_bytes()
    assert not run.directory.checkpoints.exists()
    with caplog.at_level(logging.INFO, "kvae"):
        again = resume(tmp_path / "a")
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
