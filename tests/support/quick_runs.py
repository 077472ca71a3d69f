"""Runs that several files read, on the bundled digits: each is trained once."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

QUICK = "epochs=1 encoder.units=[8] decoder.units=[8] latent_dim=2 fit_prior=".split()
MIXTURE = ["fit_prior.name=mixture", "fit_prior.num_components=4"]
"""Further settings, of a run that fits its prior."""
DRAWN = ["epochs=2", "binarize=dynamic", "likelihood=bernoulli"]
"""The same of a run whose pixels are drawn from probabilities."""

CONDITIONAL = [
    "conditional_prior=true",
    "corruption.name=salt_and_pepper",
    "corruption.rate=0.05",
]
"""The same of a run of the recipe digits_conditional."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Returns what trains a run of `QUICK` and further settings, once in this process.

    Its files must stay as they are. A test that changes them takes a copy, by `copied`.
    """
    folder, runs = tmp_path_factory.mktemp("runs"), {}

    def once(*settings: str, recipe: str = "digits") -> Any:
        from kvae.training import load_recipe, train  # not for tests that train nothing

        asked = (recipe, settings)
        if asked not in runs:
            config = load_recipe(recipe, settings=[*QUICK, *settings])
            runs[asked] = train(config, folder / f"run-{len(runs)}")
        return runs[asked]

    return once


def copied(run: Any, path: pathlib.Path) -> Any:
    """Copies a run to a folder that must not exist, and opens it there."""
    from kvae.training import open_run

    shutil.copytree(run.directory.path, path)
    return open_run(path)
