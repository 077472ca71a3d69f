import numpy as np
import pytest
import tensorflow as tf

from kvae.noise import Noise, counter_normal

KEY = tf.constant([3, 4])
SOURCES = {"training": Noise(KEY), "evaluation": Noise(KEY, tf.constant(0))}
EACH = pytest.mark.parametrize("noise", SOURCES.values(), ids=SOURCES)


@EACH
def test_noise_is_standard_normal_and_repeats_itself(noise):
    drawn = noise.normal(4, 5000, 3).numpy()
    assert drawn.shape == (4, 5000, 3)
    assert abs(drawn.mean()) < 5 / np.sqrt(drawn.size)
    assert abs(np.square(drawn).mean() - 1) < 5 * np.sqrt(2 / drawn.size)
    np.testing.assert_array_equal(drawn, noise.normal(4, 5000, 3))


@EACH
def test_folding_gives_independent_noise_and_another_tag_another(noise):
    sources = [noise, noise.fold(0), noise.fold(1), noise.fold(0).fold(0)]
    drawn = np.stack([s.normal(1, 5000, 1).numpy().ravel() for s in sources])
    correlation = np.corrcoef(drawn) - np.eye(4)
    assert np.abs(correlation).max() < 5 / np.sqrt(5000)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_noise_has_the_dtype_asked_for(noise, dtype):
    assert noise.normal(1, 2, 3, dtype).dtype == dtype


def test_evaluation_noise_belongs_to_the_example_and_not_to_the_batch():
    whole = Noise(KEY, tf.constant(0)).normal(2, 10, 3)
    second = Noise(KEY, tf.constant(6)).normal(2, 4, 3)
    np.testing.assert_array_equal(whole[:, 6:], second)
    np.testing.assert_array_equal(whole, counter_normal(KEY, tf.range(10), 2, 3))


def test_training_noise_changes_with_the_step():
    one, two = (Noise(tf.constant([3, s])).normal(1, 100, 2) for s in (0, 1))
    assert np.all(one != two)
