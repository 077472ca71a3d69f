import numpy as np
import pytest
import tensorflow as tf

from kvae.corruptions import SaltAndPepper


def test_shares_of_salt_and_pepper():
    """20 000 entries: five standard errors of a binomial share."""
    noisy = SaltAndPepper(0.2, low=-1, high=3)(
        tf.zeros((200, 100)), tf.constant([1, 2])
    )
    error = 5 * np.sqrt(0.1 * 0.9 / 20_000)
    for value in (-1, 3):
        assert np.mean(np.asarray(noisy) == value) == pytest.approx(0.1, abs=error)
    assert set(np.unique(noisy)) == {-1, 0, 3}


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_probability(rate):
    with pytest.raises(ValueError, match="SaltAndPepper expects rate from 0 to 1"):
        SaltAndPepper(rate)
