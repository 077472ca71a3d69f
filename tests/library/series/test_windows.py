import numpy as np
import pandas as pd
import pytest

from kvae.series import windows


def test_windows_are_the_slices_of_the_series():
    x = np.arange(20.0).reshape(10, 2)
    found = windows(x, 4, stride=3)
    expected = [x[start : start + 4] for start in (0, 3, 6)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(windows(x[:, 0], 10), x[:, 0][None])
    np.testing.assert_array_equal(windows(pd.DataFrame(x), 4, 3), expected)


def test_windows_of_several_series_do_not_cross_from_one_to_the_next():
    first, short, last = np.arange(5), np.arange(2) + 50, np.arange(4) + 100
    found = windows([first, short, last], 3)
    expected = [[0, 1, 2], [1, 2, 3], [2, 3, 4], [100, 101, 102], [101, 102, 103]]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(windows(list(range(4)), 3), [[0, 1, 2], [1, 2, 3]])


@pytest.mark.parametrize(
    ("x", "length", "message"),
    [
        (np.zeros((5, 2)), 6, "windows of 6 steps don't fit a series of 5 steps"),
        (np.zeros((5, 2, 2)), 3, r"expects series \(T, F\) or \(T,\)"),
        (np.array(["a", "b"]), 1, "of numbers"),
        ([np.zeros((5, 2)), np.zeros((5, 3))], 2, "must have the same features"),
        ([], 2, "a series of 0 steps"),
        (np.zeros(5), 0, "length must be an integer of at least 1"),
    ],
)
def test_what_has_no_windows_is_refused(x, length, message):
    with pytest.raises(ValueError, match=message):
        windows(x, length)
