"""Data of one size are told apart by every row."""

import numpy as np
import pytest

from kvae.training.data import fingerprint as module
from kvae.training.data.fingerprint import fingerprint
from kvae.training.data.rows import joined


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).random((40, 3, 3), dtype="float32")


def test_every_row_counts(x: np.ndarray) -> None:
    whole = fingerprint(x)
    assert fingerprint(joined([x[:7], x[7:]])) == whole
    for other in (x[:-1], x[::-1], x.astype("float64"), x.reshape(40, 9)):
        assert fingerprint(other) != whole
    for row in range(40):
        changed = x.copy()
        changed[row] += 1e-6
        assert fingerprint(changed) != whole
    assert len(fingerprint(x[:1])) == 16


def test_of_large_data_blocks_are_read_from_end_to_end(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 2 * x[:1].nbytes)
    monkeypatch.setattr(module, "_BLOCKS", 5)
    whole = fingerprint(x)
    noticed = []
    for row in range(40):
        changed = x.copy()
        changed[row] += 1e-6
        if fingerprint(changed) != whole:
            noticed.append(row)
    assert noticed == [0, 1, 8, 9, 18, 19, 28, 29, 38, 39]
