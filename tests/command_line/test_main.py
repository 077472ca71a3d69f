"""The command line, as a user meets it."""

import json
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

import kvae_cli.main
from kvae.core.errors import UserError
from kvae.training.checkpoint.run_lock import run_lock
from kvae.training.commands import verbs
from kvae.training.run.run_directory import RunDirectory
from kvae_cli import main
from kvae_cli.arguments import parser

ROOT = pathlib.Path(__file__).parents[2]
QUICK = (
    "digits --epochs 1 --set fit_prior= --set encoder.units=[8] --set decoder.units=[8]"
).split()

VERBS = [*verbs.VERBS, "family", "verify"]  # the last two have their own way in

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process: status, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main.main(list(map(str, arguments)))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(command: Command, verb: str) -> None:
    status, out, _ = command(verb, "--help")
    assert status == 0
    assert f"example: kvae {verb}" in out


def test_the_parser_offers_no_verb_without_a_function(command: Command) -> None:
    offered = re.findall(r"'([\w-]+)'", command("none")[2].partition("choose from")[2])
    assert sorted(offered) == sorted(VERBS)


def test_help_comes_before_tensorflow() -> None:
    code = (
        "import sys, kvae_cli.main; sys.argv[1:] = ['train', '--help']; "
        "status = kvae_cli.main.main(); "
        "sys.exit(status or 3 * ('tensorflow' in sys.modules))"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "example:" in done.stdout
    assert time.monotonic() - began < 5


def test_the_launcher_runs_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kvae", "trian"])
    assert kvae_cli.main.main() == 2
    assert "invalid choice: 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("", "the following arguments are required: VERB"),
        ("train --epochs 3", "say what to train on: a recipe ("),
        ("train --epochs x", "argument --epochs: invalid int value: 'x'"),
        (
            "train digits --latent-dim 0",
            "latent_dim must be an integer from 1",
        ),
        ("train digits --latent-shape 16x16", "one latent, such as 16x16x4; received"),
        ("fit-prior none", "there is no run none"),
        ("fit-prior none --epochs 3", "name the prior of these options"),
        ("fit-prior none --undo --epochs 3", "--undo doesn't fit a prior"),
        ("train digits --set epoch=3", "no key 'epoch'. Did you mean epochs?"),
        ("train digits --set epochs", "--set takes key=value"),
        ("train --data none.npy", "there is no file none.npy"),
        ("train --data ./none", "there is no file or folder ./none"),
        ("train --data mnst", "no data set 'mnst'. Did you mean"),
        ("train --data mnist --data-dir none", "there is no folder none"),
        ("train digits --likelihood bernouli", "no likelihood 'bernouli'"),
        ("evaluate none", "there is no run none"),
        ("evaluate none --num-samples 0", "expected a positive integer"),
        ("sample none --seed -1", "expected"),
        ("sample none --temperature nan", "expected a number of at least 0"),
        ("sample none --temperature 4x4=", "expected a number of at least 0"),
        ("export none", "there is no run none"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(
    command: Command,
    arguments: str,
    sentence: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = command(*arguments.split())
    assert status == 2
    assert sentence in err
    assert err.strip().splitlines()[-1].startswith("kvae")
    assert "Traceback" not in err


def test_train_evaluate_sample(command: Command, tmp_path: pathlib.Path) -> None:
    run = tmp_path / "run"
    status, out, err = command("train", *QUICK, "--out", run)
    assert status == 0, err
    assert "ELBO" in out
    assert "±" in out
    assert "epoch 1/1" in err

    status, _, err = command("train", *QUICK, "--out", run)
    assert status == 2
    assert "exists and holds a run" in err

    status, out, err = command("evaluate", run, "--num-samples", 3)
    assert status == 0, err
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test_3_samples"]["distortion"]["num_samples"] == 3
    assert metrics["test"]["distortion"]["num_samples"] == 1

    paths = [tmp_path / "a.npy", tmp_path / "b.npy", tmp_path / "c.npy"]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        assert command("sample", run, "--num", 5, "--seed", seed, "--out", path)[0] == 0
    a, b, c = map(np.load, paths)
    assert a.shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    status, _, err = command("sample", run, "--out", paths[0])
    assert status == 2
    assert "exists; choose another --out" in err
    fitted = tmp_path / "fitted.npy"
    assert command("sample", run, "--num", 5, "--fit-prior", 3, "--out", fitted)[0] == 0
    assert not np.array_equal(np.load(fitted), a)
    assert command("sample", run)[0] == 0
    assert (run / "samples-64-seed-0.png").exists()

    given = ("--prior", "mixture", "--set", "num_components=3")
    status, out, err = command("fit-prior", run, *given)
    assert status == 0, err
    assert "GaussianMixture in place of StandardNormal, fitted to the latents" in err
    assert f"To go back: kvae fit-prior {run} --undo" in out
    again = tmp_path / "again.npy"
    assert command("sample", run, "--num", 5, "--out", again)[0] == 0
    np.testing.assert_array_equal(np.load(again), np.load(fitted))
    assert command("fit-prior", run, "--undo")[0] == 0
    status, _, err = command("fit-prior", run, "--undo")
    assert status == 2
    assert "has the prior that it was trained with" in err


def test_the_shape_of_a_latent_is_a_change_of_the_same_key() -> None:
    parsed = parser().parse_args(["train", "digits", "--latent-shape", "8x8x4"])
    assert parsed.changes == {"latent_dim": [8, 8, 4]}


def test_the_version_comes_without_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kvae_cli", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert re.fullmatch(
        r"kvae \S+ \(Python [\d.]+, TensorFlow [\d.]+, Keras [\d.]+\)\n", done.stdout
    )


def test_train_alone_prints_its_help(command: Command) -> None:
    for arguments in (["train"], ["-q", "train"]):
        status, out, _ = command(*arguments)
        assert status == 0
        assert "usage: kvae train [RECIPE] [options]" in out


def test_quiet_works_before_and_after_the_verb(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []
    monkeypatch.setitem(
        verbs.VERBS,
        "quickstart",
        lambda **_: levels.append(logging.getLogger("kvae").level),
    )
    for arguments in (["-q", "quickstart"], ["quickstart", "-q"], ["quickstart"]):
        assert command(*arguments)[0] == 0
    assert levels == [logging.WARNING, logging.WARNING, logging.INFO]


@pytest.mark.slow
def test_a_real_process_is_quiet_alone_and_says_how_to_resume(
    tmp_path: pathlib.Path,
) -> None:
    """TensorFlow's greetings stay off the screen, and nobody else may have the run.

    Ctrl-C comes in the middle; the line that is printed works.
    """
    arguments = ["train", *QUICK, "--epochs", "100000", "--out", "run"]
    environment = {"PYTHONPATH": str(ROOT), "KVAE_COMMAND": "./run kvae", "PATH": ""}
    command = [sys.executable, "-m", "kvae_cli", *arguments]
    lock = tmp_path / "run/checkpoints/lock"
    said = []
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch "):
                break
            said.append(line)
        used = pytest.raises(UserError, match=f"in use by another.*{process.pid}")
        with used, run_lock(lock):
            pass
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(60) == 130
    assert said
    assert all(line.startswith(("digits: ", "for_data: ")) for line in said), said
    assert "Resume with: ./run kvae train --resume run\n" in rest
    assert rest.endswith("kvae: interrupted.\n")
    resumed = RunDirectory.open(tmp_path / "run", finished=False)
    assert list(resumed.checkpoints.glob("*.npz"))
    with run_lock(lock):
        assert lock.read_text() == str(os.getpid())


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("ours"), 1, "this is a bug in kvae"),
        (FileExistsError("it is there"), 2, "kvae: it is there"),
    ],
)
def test_the_exit_status_says_whose_fault_it_was(
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    words: str,
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setitem(verbs.VERBS, "quickstart", fail)
    got, _, err = command("quickstart")
    assert got == status
    assert words in err
