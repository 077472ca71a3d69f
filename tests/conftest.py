"""The option --all, and the guard of the source tree."""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["support.tree_guard", "support.quick_runs"]

# `./run tests` tells kvae to call itself `./run kvae`; messages are tested without.
os.environ.pop("KVAE_COMMAND", None)

# Workers share the cores; threads of each that wait for those of the other cost time.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _log_as_imported() -> None:
    """Undoes what the command line did to kvae's logger in tests before this one."""
    logger = logging.getLogger("kvae")
    logger.handlers, logger.propagate = [], True
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True, scope="module")
def _freeze_graphs() -> Iterator[None]:
    """Keeps the collector from visiting what a file leaves, in all files after it.

    TensorFlow never forgets a custom gradient, and a gradient holds its whole graph.
    """
    yield
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="also run the tests marked slow"
    )


def pytest_collection_finish() -> None:
    """Keeps the collector from visiting, again and again, what the imports made."""
    gc.freeze()


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leaves slow tests out, unless all are wanted or their file is named."""
    if config.option.all or config.option.markexpr:
        return
    start = config.invocation_params.dir
    named = {(start / arg.split("::")[0]).resolve() for arg in config.args}
    slow = [
        item
        for item in items
        if item.get_closest_marker("slow") and Path(item.path) not in named
    ]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]
