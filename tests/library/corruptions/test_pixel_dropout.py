import numpy as np
import pytest
import tensorflow as tf

from kvae.corruptions import PixelDropout

KEY = tf.constant([1, 2])


def test_a_pixel_goes_with_all_its_channels():
    """5000 pixels: five standard errors of a binomial share."""
    noisy = np.asarray(PixelDropout(0.3, 0.5)(tf.ones((50, 10, 10, 3)), KEY))
    gone = noisy == 0.5
    assert np.array_equal(gone.all(-1), gone.any(-1))
    assert gone.mean() == pytest.approx(0.3, abs=5 * np.sqrt(0.3 * 0.7 / 5000))
    assert (noisy[~gone] == 1).all()  # nothing is scaled up


def test_entries_of_a_vector_go_one_by_one():
    gone = np.asarray(PixelDropout(0.5)(tf.ones((100, 8)), KEY)) == 0
    assert 0 < gone.sum() < gone.size
    assert not np.array_equal(gone.all(-1), gone.any(-1))
