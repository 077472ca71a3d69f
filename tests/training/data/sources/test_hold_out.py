"""Validation examples are drawn at random, each class with its share."""

import pathlib

import numpy as np
import pytest

from kvae.core.errors import UserError
from kvae.training.data.sources import load_data
from kvae.training.data.sources.hold_out import validation_rows

SORTED = np.repeat([3, 1, 2, 0], [100, 50, 10, 37])  # as the folders of classes are


@pytest.mark.parametrize("wanted", [0.1, 20, 1, 196])
def test_each_class_has_its_share(wanted: float) -> None:
    """Of a class of n among N, k n / N rows, rounded up or down."""
    notes: list[str] = []
    rows = validation_rows(len(SORTED), wanted, SORTED, notes)
    kept = int(np.ceil(wanted * len(SORTED))) if wanted < 1 else wanted
    assert len(np.unique(rows)) == len(rows) == kept
    share = kept * np.bincount(SORTED) / len(SORTED)
    drawn = np.bincount(SORTED[rows], minlength=4)
    assert np.all(drawn >= np.floor(share))
    assert np.all(drawn <= np.ceil(share))
    assert "the same share of each class" in notes[0]


def test_without_labels_rows_are_spread_over_all() -> None:
    """Of 10 000 rows that drift from 0 to 1, 1000 random ones have the mean 1/2.

    Without replacement its standard error is sqrt(1/12 / 1000 * 0.9).
    """
    rows = validation_rows(10_000, 0.1, None, [])
    error = np.sqrt(1 / 12 / 1000 * 0.9)
    assert abs((rows / 9999).mean() - 0.5) < 4 * error
    assert np.diff(rows).std() > 5  # a grid would have 0
    np.testing.assert_array_equal(rows, validation_rows(10_000, 0.1, None, []))


def test_a_sorted_file_does_not_validate_on_its_last_class(
    tmp_path: pathlib.Path,
) -> None:
    x = np.repeat(SORTED[:, None] / 3, 2, axis=1)
    np.savez(tmp_path / "x.npz", x=x, y=SORTED)
    data = load_data(str(tmp_path / "x.npz"), validation=0.2)
    assert set(data.validation_labels) == {0, 1, 2, 3}
    for part in ("train", "validation", "test"):
        labels = getattr(data, f"{part}_labels")
        np.testing.assert_allclose(getattr(data, part)[:, 0] * 3, labels, rtol=1e-6)
    assert len(data.train) + len(data.validation) + len(data.test) == len(SORTED)


def test_an_odd_share_is_refused_or_none() -> None:
    assert len(validation_rows(9, 0, np.arange(9), [])) == 0
    with pytest.raises(UserError, match="leaves none of the 9 training examples"):
        validation_rows(9, 9, None, [])
    assert len(validation_rows(100, 0.5, None, [], most=7)) == 7
