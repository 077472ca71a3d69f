"""Whatever ends an export early, nothing is left that looks finished."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kvae.export
from kvae.core.atomic import staged, write_new
from kvae.export import WriteError

pytestmark = pytest.mark.slow

PROGRAM = """
import sys, kvae, kvae.export, numpy
x = numpy.zeros((8, 6), "float32")
vae = kvae.VAE.for_data(x, latent_dim=2)
vae.build((None, 6))
kvae.export.export(vae, sys.argv[1], allow_untrained=True)
"""


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Lets the operating system refuse to write files beyond a size, as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_killed_export_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(out)])
    try:
        # At this moment the SavedModel is complete, and so the temptation is greatest.
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob(".out.*.partial.*/saved_model/1/saved_model.pb")):
            assert process.poll() is None, "the export ended before it was killed"
            assert time.monotonic() < deadline, "no SavedModel in 300 s"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(f".out.{process.pid}.partial.")
    assert not (left / "export.json").exists()
    report = kvae.export.verify(left)
    assert not report.ok
    assert "isn't a finished export" in report.problems[0]
    with staged(out):  # the next export removes it
        assert not left.exists()


@contextlib.contextmanager
def mounted(path: Path, options: str) -> Iterator[Path]:
    """A small file system of its own, for as long as the block lasts."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_file_too_large_leaves_nothing(vae: Any, tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(OSError, match="File too large"):
        write_new(tmp_path / "a.tflite", bytes(5000))
    x = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
    said = f"{tmp_path}/out was not written, and .* unchanged: File too large"
    with largest_file(1000), pytest.raises(WriteError, match=said):
        kvae.export.export(vae, tmp_path / "out", x)
    assert list(tmp_path.iterdir()) == []


# The first fills up under parity.npz, the second under TensorFlow's own writer.
@pytest.mark.parametrize("size", [8, 150])
def test_a_full_disk_leaves_nothing(vae: Any, tmp_path: Path, size: int) -> None:
    with mounted(tmp_path / "disk", f"size={size}k") as disk:
        with pytest.raises(WriteError, match="out was not written.*the disk is full"):
            kvae.export.export(vae, disk / "out")
        assert list(disk.iterdir()) == []
        with pytest.raises(WriteError, match="the disk is full"):
            kvae.export.saved_model(vae, disk / "served")
        assert list((disk / "served").iterdir()) == []


def test_a_disk_that_fills_up_at_the_end_leaves_nothing(
    exported: Any, vae: Any, digits: np.ndarray, tmp_path: Path
) -> None:
    files = [path for path in exported[0].rglob("*") if path.is_file()]
    whole = sum(-(-path.stat().st_size // 4096) for path in files)  # in pages
    with mounted(tmp_path / "disk", f"size={4 * (whole - 2)}k") as disk:
        with pytest.raises(WriteError, match="out was not written.*the disk is full"):
            kvae.export.export(vae, disk / "out", digits)
        assert list(disk.iterdir()) == []


def test_a_place_that_cannot_be_made_is_named(vae: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for parent in (tmp_path / "file", Path("/proc/self")):
        with pytest.raises(WriteError, match=str(parent)):
            kvae.export.export(vae, parent / "out")
        with pytest.raises(WriteError, match=str(parent)):
            kvae.export.litert(vae, parent / "a.tflite")
        with pytest.raises(WriteError, match=str(parent)):
            kvae.export.saved_model(vae, parent / "served")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "in the way"


def refused_at(vae: Any, directory: Path) -> None:
    for write, name in (
        (kvae.export.export, "out"),
        (kvae.export.litert, "a.tflite"),
        (kvae.export.saved_model, "served"),
    ):
        with pytest.raises(WriteError, match="cannot be|Choose"):
            write(vae, directory / name)
    assert list(directory.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any directory")
def test_a_protected_directory_is_refused(vae: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        refused_at(vae, tmp_path)
    finally:
        tmp_path.chmod(0o755)


def test_a_read_only_disk_is_refused(vae: Any, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro") as disk:
        refused_at(vae, disk)
