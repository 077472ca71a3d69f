"""A small trained model and its export, shared by the tests of this folder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits
from support.forked_checks import forked_checks

import kvae
import kvae.export
from kvae.export.checks import verify


@pytest.fixture(scope="session", autouse=True)
def _forked_checks() -> Iterator[None]:
    """The process of its own, in which files are checked, is the larger part of exports."""
    with forked_checks():
        yield


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    """(600, 8, 8, 1) pixels in [0, 1]."""
    return (load_digits().images[:600, ..., None] / 16).astype("float32")


@pytest.fixture(scope="session")
def vae(digits: np.ndarray) -> Any:
    keras.utils.set_random_seed(3)
    model = kvae.VAE(
        kvae.networks.conv_encoder((8, 8, 1)),
        kvae.networks.conv_decoder(5, (8, 8, 1)),
        kvae.posteriors.DiagonalNormal(5),
        kvae.likelihoods.Bernoulli((8, 8, 1)),
        seed=1,
    )
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    model.fit(digits, epochs=4, verbose=0)
    return model


@pytest.fixture(scope="session")
def exported(
    vae: Any, digits: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Any]:
    """The directory of the default export, and its report; checked as for a user."""
    directory = tmp_path_factory.mktemp("export") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "subprocess", subprocess)
        return directory, kvae.export.export(vae, directory, digits)
