"""The runs of a study: how many at once, how far they are, and how they end."""

import json
import logging
import time
import types
from pathlib import Path

import pytest

from kvae.core.errors import UserError
from kvae.training.run import study_runs
from kvae.training.run.run_directory import RunDirectory
from kvae.training.run.study import Study
from kvae.training.run.study_runs import choose_workers, run_configs

# Stands in for `study_worker`, without TensorFlow: it trains nothing, notes when it
# began and ended, and does what its number of latents says.
WORKER = """
import json, os, signal, sys, time
from pathlib import Path
asked = json.loads(sys.stdin.readline())
path, latents = Path(asked["path"]), asked["config"]["latent_dim"]
path.mkdir(exist_ok=True)
def stop(*_):
    (path / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
(path / "began").write_text(repr(time.time()))
print("epoch 1/1")
if latents == 2:
    sys.exit(1)
if latents == 3:
    print("the loss became NaN; lower learning_rate.")
    sys.exit(2)
if latents == 4:
    os.kill(os.getpid(), signal.SIGKILL)
if latents in (5, 6):
    time.sleep(60)
time.sleep(0.3)
(path / "ended").write_text(repr(time.time()))
(path / "threads").write_text(str(asked["threads"]))
"""


@pytest.fixture(autouse=True)
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stand_in.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(study_runs, "_WORKER", "stand_in")
    monkeypatch.setattr(study_runs, "_LOOK", 0.02)
    monkeypatch.setattr(study_runs, "_num_cores", lambda: 8)
    monkeypatch.setattr(study_runs, "read_numbers", lambda _: {"elbo": -1.0})


def study(latents: str, out: Path) -> Path:
    plan = Study.of("digits", [f"latent_dim={latents}"], 1, settings=["epochs=10"])
    run_configs(plan.configs, out, 2)
    return out


def test_runs_overlap_but_never_more_than_asked_for(tmp_path: Path) -> None:
    out = study("10,11,12,13,14", tmp_path / "study")
    runs = [out / f"latent_dim={n},seed=0" for n in (10, 11, 12, 13, 14)]
    moments = [(float((r / "began").read_text()), 1) for r in runs]
    moments += [(float((r / "ended").read_text()), -1) for r in runs]
    at_once = 0
    counts = [at_once := at_once + change for _, change in sorted(moments)]
    assert max(counts) == 2
    assert {(run / "threads").read_text() for run in runs} == {"4"}  # 8 cores, 2 runs
    assert (out / "logs/latent_dim=10,seed=0.log").read_text() == "epoch 1/1\n"


@pytest.mark.parametrize(
    ("latents", "words"),
    [
        (2, "it ended with status 1; .*latent_dim=2,seed=0.log says why"),
        (
            3,
            "failed: the loss became NaN; lower learning_rate. The same command resumes",
        ),
        (4, "ended by signal 9, often for lack of memory. Use fewer --workers"),
    ],
)
def test_a_failure_is_told_and_the_others_are_stopped(
    latents: int, words: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    with pytest.raises(
        UserError, match=f"the run latent_dim={latents},seed=0 .*{words}"
    ):
        study(f"{latents},5", tmp_path / "study")
    assert time.monotonic() - began < 30  # the other one sleeps for 60


def test_ctrl_c_lets_every_run_save_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: object, names: list[str]) -> None:
        if all((tmp_path / "study" / name / "began").exists() for name in names):
            raise KeyboardInterrupt

    monkeypatch.setattr(study_runs._Progress, "running", interrupt)
    with pytest.raises(KeyboardInterrupt):
        study("5,6,10", tmp_path / "study")
    for latents in (5, 6):
        assert (tmp_path / f"study/latent_dim={latents},seed=0/saved").exists()
    assert not (tmp_path / "study/latent_dim=10,seed=0").exists()


def test_time_left_is_that_of_the_epochs_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """20 of 40 epochs took 100 s, 5 of them were there before: the rest takes 133 s."""
    clock = iter([0.0, 100.0, 100.0])
    stopwatch = types.SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr(study_runs, "time", stopwatch)
    configs = Study.of(
        "digits", ["latent_dim=2,3,4,6"], 1, settings=["epochs=10"]
    ).configs
    names = list(configs)

    def write(name: str, epochs: int) -> None:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "history.csv").write_text("epoch\n" + "1\n" * epochs)

    write(names[1], 5)
    progress = study_runs._Progress(configs, tmp_path, 6)
    write(names[0], 10)
    write(names[1], 10)
    logger = logging.getLogger("kvae")
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.INFO, "kvae"):
        progress._done.add(names[0])
        progress.running(names[1:2])
    assert caplog.messages == [
        f"epochs: {names[1]} at 10 of 10; 3 of 6 runs finished; about 3 min left"
    ]


def test_workers_are_chosen_from_cores_and_runs() -> None:
    assert choose_workers(20)[0] == 8
    assert choose_workers(3) == (
        3,
        "3 runs at once, in processes with 2 threads each (8 cores; --workers changes "
        "it)",
    )
    assert choose_workers(1)[0] == 1
    assert choose_workers(20, 2)[1].endswith(
        "4 threads each (8 cores, and --workers is 2)"
    )


def test_a_run_of_another_configuration_is_refused_before_training(
    tmp_path: Path,
) -> None:
    configs = Study.of(
        "digits", ["latent_dim=10,11"], 1, settings=["epochs=10"]
    ).configs
    run = RunDirectory(tmp_path / list(configs)[1])
    run.path.mkdir()
    other = Study.of("digits", ["latent_dim=11"], 1, settings=["epochs=11"]).configs
    run.write_config(next(iter(other.values())), {})
    with pytest.raises(
        UserError, match="holds a run with epochs=11; this study has 10"
    ):
        run_configs(configs, tmp_path)
    assert json.loads(run.facts_file.read_text())["data"] == {}
    assert not (tmp_path / list(configs)[0]).exists()
