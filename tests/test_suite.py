"""The suite's own rules: slow tests wait for --all, and no test writes to the tree."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

LEAK = """
import pathlib
def test_writes(tmp_path):
    (tmp_path / "here").write_text("is fine")
    pathlib.Path("left").mkdir()
    pathlib.Path("left/picture.png").write_text("is not")
"""
TWO_SPEEDS = """
import pytest
def test_quick(): pass
@pytest.mark.slow
def test_patient(): pass
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in a folder that stands for a source tree."""
    (folder / "pytest.ini").write_text(
        f"[pytest]\npythonpath = {TESTS}\nmarkers = slow\n"
    )
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_file_left_in_the_tree_fails_the_run(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_leak.py").write_text(LEAK)
    done = run(tmp_path, "-n", workers)
    assert "1 passed" in done.stdout
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    left = done.stdout.partition("This run added:\n")[2].split()
    assert left[:2] == ["left", "left/picture.png"]
    again = run(tmp_path, "-n", workers, "-k", "nothing")
    assert "left in the source tree" not in again.stdout


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        ([], "1 passed, 1 deselected"),
        (["-k", "test"], "1 passed, 1 deselected"),
        (["--all"], "2 passed"),
        (["test_speeds.py"], "2 passed"),
        (["test_speeds.py::test_patient"], "1 passed"),
        (["-m", "slow"], "1 passed, 1 deselected"),
    ],
)
def test_slow_tests_run_when_asked_for(
    tmp_path: Path, arguments: list[str], counts: str
) -> None:
    (tmp_path / "test_speeds.py").write_text(TWO_SPEEDS)
    done = run(tmp_path, *arguments)
    assert done.returncode == 0, done.stdout
    assert f"{counts} in" in done.stdout
