import numpy as np
import pytest

from kvae.masks import nan_as_missing


def test_nan_becomes_a_mask_and_the_rest_stays():
    x = np.array([[1.0, np.nan], [np.nan, -2.5]])
    read = nan_as_missing(x)
    np.testing.assert_array_equal(read["mask"], [[1, 0], [0, 1]])
    np.testing.assert_array_equal(read["x"], [[1.0, 0.0], [0.0, -2.5]])


def test_integers_miss_nothing():
    assert (nan_as_missing(np.ones((2, 2), int))["mask"] == 1).all()


def test_text_is_refused():
    with pytest.raises(ValueError, match="array of numbers; received dtype"):
        nan_as_missing(np.array([["a"]]))
