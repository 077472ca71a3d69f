"""The files of a run after kills, edits and accidents."""

import contextlib
import json
import os
import pathlib
from typing import Any

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training import load_data
from kvae.training.commands.evaluate_runs import show_metrics
from kvae.training.config.config import Config
from kvae.training.run.further_epochs import read_history
from kvae.training.run.metrics_file import check_metrics
from kvae.training.run.run_directory import RunDirectory

CONFIG = Config(epochs=3, objective={"name": "ELBO", "beta": 0.1}, encoder=None)
ROW = {
    "value": -3.5,
    "standard_error": 0.25,
    "unit": "nats",
    "estimator": "mean",
    "num_samples": 1,
    "num_examples": 9,
}
METRICS = {
    "test": {"elbo": ROW, "pixels": "as they are"},
    "training": {"seconds": 1.5, "epochs": 3},
}


@pytest.fixture
def run(tmp_path: pathlib.Path) -> RunDirectory:
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_config(CONFIG, {"train": 9})
    return directory


def test_a_kill_between_its_two_first_files_leaves_a_run(run: RunDirectory) -> None:
    """--resume finds it, and --out says what it is."""
    run.config_file.unlink()
    with pytest.raises(UserError, match="holds a run that did not finish"):
        RunDirectory.create(run.path)
    assert RunDirectory.open(run.path, finished=False).read_config() == CONFIG
    assert run.config_file.is_file()


def test_a_kill_before_them_leaves_nothing_in_the_way(run: RunDirectory) -> None:
    run.config_file.unlink()
    run.facts_file.unlink()
    run.checkpoints.mkdir()
    (run.path / f".run.{os.getpid()}.partial.json").write_text("{")
    with pytest.raises(UserError, match="killed before it began, so run its command"):
        RunDirectory.open(run.path, finished=False)
    again = RunDirectory.create(run.path)
    assert [path.name for path in again.path.iterdir()] == ["checkpoints"]


def test_a_configuration_edited_by_hand_is_refused_with_what_differs(
    run: RunDirectory,
) -> None:
    text = run.config_file.read_text()
    run.config_file.write_text(
        text.replace("seed = 0", "seed = 7").replace("epochs = 3", "epochs = 30")
    )
    with pytest.raises(UserError, match=r"epochs was 3 and is 30; seed was 0 and is 7"):
        run.read_config()
    run.config_file.write_text(text)
    assert run.read_config() == CONFIG


def test_where_the_data_lie_may_be_edited(run: RunDirectory) -> None:
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace('"digits"', '"moved.npy"') + "# a note\n")
    assert run.read_config().data == "moved.npy"


def test_a_run_of_before_has_no_record_to_compare_with(run: RunDirectory) -> None:
    facts = json.loads(run.facts_file.read_text())
    del facts["config"]
    run.facts_file.write_text(json.dumps(facts))
    run.config_file.write_text("epochs = 4")
    assert run.read_config().epochs == 4


def test_numbers_that_are_none_are_shown(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deterministic code has no ELBO: NaN in memory, null in the file."""
    row = {**ROW, "value": np.nan, "standard_error": np.nan}
    run.write_metrics({**METRICS, "test": {**METRICS["test"], "rate": row}})
    show_metrics(run.read_metrics()["test"], "digits")
    shown = capsys.readouterr().out
    assert "nan nats" in shown
    assert "-3.50 ± 0.25 nats" in shown


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("test",), [], r"test is \[\]"),
        (("test", "pixels"), 3, "test.pixels is 3"),
        (("test", "elbo"), None, "test.elbo is None"),
        (("test", "elbo", "value"), "-3.5", "test.elbo.value is '-3.5'"),
        (("test", "elbo", "num_examples"), True, "test.elbo.num_examples is True"),
        (("training", "seconds"), {}, "training.seconds is {}"),
    ],
)
def test_metrics_that_were_not_written_so_are_named(
    run: RunDirectory, place: tuple[str, ...], value: Any, message: str
) -> None:
    metrics = json.loads(json.dumps(METRICS))
    check_metrics(metrics)
    inner = metrics
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    run.metrics_file.write_text(json.dumps(metrics))
    with pytest.raises(UserError, match=f"is damaged .{message}"):
        run.read_metrics()


def test_any_flipped_byte_of_the_metrics_is_noticed_or_is_a_number(
    run: RunDirectory,
) -> None:
    run.write_metrics(METRICS)
    whole = run.metrics_file.read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x15
        run.metrics_file.write_bytes(changed)
        try:
            metrics = run.read_metrics()
            if "test" in metrics:
                show_metrics(metrics["test"], "digits")
        except UserError:
            pass


def test_any_flipped_byte_of_the_history_is_noticed_or_is_a_number(
    run: RunDirectory,
) -> None:
    whole = b"epoch,elbo,val_elbo\n1,-3.5,-4.5\n2,-2.5,\n"
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 0x15
        run.history_file.write_bytes(changed)
        with contextlib.suppress(UserError):
            assert all(isinstance(row["epoch"], int) for row in read_history(run))
    run.history_file.write_bytes(whole)
    assert [row["elbo"] for row in read_history(run)] == [-3.5, -2.5]


def test_other_rows_of_the_same_size_are_noticed(tmp_path: pathlib.Path) -> None:
    x = np.random.default_rng(0).random((30, 4), dtype="float32")
    np.savez(tmp_path / "x.npz", train=x, test=x[:10], test_labels=np.arange(10))
    directory = RunDirectory.create(tmp_path / "run")
    directory.write_config(CONFIG, load_data(str(tmp_path / "x.npz")).describe())
    directory.check_data(load_data(str(tmp_path / "x.npz")).describe())
    other = x[:10].copy()
    other[4] += 0.01
    labels = np.arange(10)[::-1]
    np.savez(tmp_path / "x.npz", train=x, test=other, test_labels=labels)
    with pytest.raises(UserError, match="the same, but test, test labels hold other"):
        directory.check_data(load_data(str(tmp_path / "x.npz")).describe())
