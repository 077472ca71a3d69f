import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from kvae.corruptions import AdditiveNormal


def test_the_noise_is_normal_with_this_scale():
    x = tf.fill((200, 100), 0.7)
    noise = np.asarray(AdditiveNormal(0.3)(x, tf.constant([1, 2]))).ravel() - 0.7
    assert stats.kstest(noise / 0.3, "norm").pvalue > 1e-4


def test_a_scale_is_not_negative():
    with pytest.raises(ValueError, match="expects scale >= 0; received -1"):
        AdditiveNormal(-1)
