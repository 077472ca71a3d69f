"""A pytest plugin that fails a run whose tests leave files in the source tree.

Tests write to `tmp_path`. What a run adds to the tree beside the caches of tools fails the
run, whether git ignores it or not. Only the process that the user started compares, so
workers of pytest-xdist do not report one another's files.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Written by Python, pytest, linters and pip, not by tests.
TOOLS = {
    ".git",
    ".venv",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    "__pycache__",
    "build",
    "dist",
}
BEFORE = pytest.StashKey[set[str]]()
LEFT = pytest.StashKey[list[str]]()


def entries(root: Path) -> set[str]:
    """Every file and folder of a tree, without those of tools, relative to its root."""
    found = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [
            f for f in folders if f not in TOOLS and not f.endswith(".egg-info")
        ]
        files = [f for f in files if not f.startswith(".coverage")]
        found |= {os.path.relpath(os.path.join(folder, f), root) for f in folders}
        found |= {os.path.relpath(os.path.join(folder, f), root) for f in files}
    return found


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Lists the tree before the first test."""
    if not _is_worker(session.config):
        session.config.stash[BEFORE] = entries(session.config.rootpath)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Lists it after the last, and fails the run if something was added."""
    config = session.config
    if BEFORE in config.stash:
        left = sorted(entries(config.rootpath) - config.stash[BEFORE])
        config.stash[LEFT] = left
        if left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Names what was left."""
    if left := config.stash.get(LEFT, []):
        terminalreporter.section("left in the source tree", red=True)
        terminalreporter.line("Tests write to tmp_path. This run added:")
        for name in left:
            terminalreporter.line(f"  {name}")
