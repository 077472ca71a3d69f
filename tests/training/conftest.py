"""What the tests of training share."""

import logging

import pytest


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pytest hear the log, which the command line keeps to itself."""
    monkeypatch.setattr(logging.getLogger("kvae"), "propagate", True)
