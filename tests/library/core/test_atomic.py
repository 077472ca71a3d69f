"""Files are whole or not there."""

import errno
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from kvae.core import atomic
from kvae.core.atomic import (
    WriteError,
    remove_litter,
    replacing,
    write_json,
    write_text,
)


def _write_half(path: pathlib.Path, error: Exception) -> None:
    with replacing(path) as beside:
        beside.write_text("ba")
        raise error


def test_a_failed_write_leaves_the_previous_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "good")
    with pytest.raises(RuntimeError, match="half way"):
        _write_half(path, RuntimeError("half way"))
    assert path.read_text() == "good"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "good")
    with pytest.raises(WriteError, match="the disk is full"):
        _write_half(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_text() == "good"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "good")
    write = pathlib.Path.write_text
    monkeypatch.setattr(
        pathlib.Path,
        "write_text",
        lambda self, text, **kwargs: write(pathlib.Path("/dev/full"), text, **kwargs),
    )
    with pytest.raises(WriteError, match="the disk is full"):
        write_text(path, "x" * 100_000)
    monkeypatch.undo()
    assert path.read_text() == "good"


def test_a_missing_folder_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(WriteError, match="was not written.*: No such file"):
        write_text(tmp_path / "none" / "a.txt", "x")


@pytest.mark.slow
def test_a_killed_process_leaves_the_previous_file(tmp_path: pathlib.Path) -> None:
    """A process that is killed while it writes, by the signal that cannot be caught."""
    path = tmp_path / "a.txt"
    path.write_text("good")
    script = (
        "import importlib.util, pathlib, sys, time\n"
        "spec = importlib.util.spec_from_file_location('atomic', sys.argv[1])\n"
        "atomic = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(atomic)\n"
        "with atomic.replacing(pathlib.Path(sys.argv[2])) as beside:\n"
        "    beside.write_text('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(atomic.__file__), str(path)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    remove_litter(tmp_path)  # which leaves alone what a living process writes
    (half,) = tmp_path.glob(f".a.{process.pid}.partial.txt")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(0.01)
    assert path.read_text() == "good"
    assert half.exists()
    remove_litter(tmp_path)
    assert os.listdir(tmp_path) == ["a.txt"]


def test_only_litter_of_the_name_is_removed(tmp_path: pathlib.Path) -> None:
    """A folder of a dead export too, and nothing that only looks like it."""
    (tmp_path / ".out.7.partial.xyz" / "saved_model").mkdir(parents=True)
    others = [".out2.7.partial.xyz", "out.7.partial.xyz", ".out.partial.mp4", ".out"]
    for name in others:
        (tmp_path / name).write_text("theirs")
    os.mkfifo(
        tmp_path / ".out.8.partial.npz"
    )  # to open one for reading may take forever
    remove_litter(tmp_path, "out")
    assert sorted(os.listdir(tmp_path)) == sorted(others)
    remove_litter(tmp_path / "none")


def test_json_has_no_nan(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [float("nan"), 1.5, float("inf"), 0.0], "b": {"c": None}})
    assert json.loads(path.read_text()) == {
        "a": [None, 1.5, None, 0.0],
        "b": {"c": None},
    }
