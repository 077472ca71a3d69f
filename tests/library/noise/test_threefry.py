import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from kvae.noise import counter_normal, threefry2x32

# Known answers for Threefry-2x32 with 20 rounds, from the file kat_vectors of the
# Random123 distribution: counter, key, result. The third is made of the digits of pi.
KNOWN_ANSWERS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def words(pair):
    return tuple(tf.constant(np.array([w], np.uint32).view(np.int32)) for w in pair)


def reference(key, counter):
    """Threefry-2x32-20 in Python integers, from the definition."""
    mask = 0xFFFFFFFF
    keys = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x = [(counter[0] + keys[0]) & mask, (counter[1] + keys[1]) & mask]
    rotations = [13, 15, 26, 6, 17, 29, 16, 24]
    for i in range(20):
        r = rotations[i % 8]
        x[0] = (x[0] + x[1]) & mask
        x[1] = (((x[1] << r) | (x[1] >> (32 - r))) & mask) ^ x[0]
        if i % 4 == 3:
            s = i // 4 + 1
            x[0] = (x[0] + keys[s % 3]) & mask
            x[1] = (x[1] + keys[(s + 1) % 3] + s) & mask
    return tuple(x)


def draw(num=4, batch=5, dim=3, seed=7, first=0, first_sample=0, dtype="float32"):
    example = first + tf.range(batch)
    key = tf.constant([seed, 0])
    return counter_normal(key, example, num, dim, first_sample, dtype).numpy()


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_threefry_gives_the_published_answers(counter, key, result):
    found = threefry2x32(words(key), words(counter))
    assert tuple(int(w.numpy().view(np.uint32)[0]) for w in found) == result


def test_threefry_equals_its_definition_on_random_words():
    rng = np.random.default_rng(0)
    key = rng.integers(0, 2**32, (2, 200), np.uint32)
    counter = rng.integers(0, 2**32, (2, 200), np.uint32)
    found = threefry2x32(
        *(tuple(map(tf.constant, w.view(np.int32))) for w in (key, counter))
    )
    wanted = [
        reference(tuple(map(int, k)), tuple(map(int, c)))
        for k, c in zip(key.T, counter.T, strict=True)
    ]
    np.testing.assert_array_equal(np.stack(found).view(np.uint32).T, wanted)


def test_a_batch_may_be_cut_anywhere():
    whole = draw(batch=9)
    parts = [draw(batch=4), draw(batch=5, first=4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))


def test_samples_may_be_drawn_in_chunks():
    whole = draw(num=9)
    parts = [draw(num=4), draw(num=5, first_sample=4)]
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=0))


def test_another_seed_gives_other_numbers():
    assert np.mean(draw(seed=7) == draw(seed=8)) < 0.01


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_no_number_comes_twice(dim):
    # 16 million levels: among these few hundred draws a pair of equals is a rare
    # accident, while a repeated counter would repeat whole rows.
    numbers = draw(num=5, batch=20, dim=dim).ravel()
    assert len(np.unique(numbers)) > 0.98 * len(numbers)


def test_graph_and_xla_give_the_same_bits_as_eager():
    def function(key, example):
        return counter_normal(key, example, 3, 5)

    arguments = tf.constant([1, 2]), tf.range(11)
    eager = function(*arguments).numpy()
    for jit in (False, True):
        compiled = tf.function(function, jit_compile=jit)(*arguments)
        np.testing.assert_array_equal(eager, compiled.numpy())


def test_float64_is_float32_exactly():
    np.testing.assert_array_equal(draw(dtype="float64"), draw())


@pytest.fixture(scope="module")
def million():
    return draw(num=10, batch=10_000, dim=10, dtype="float64")


def test_moments_are_those_of_the_normal(million):
    # Standard errors of the first four sample moments of n standard normals.
    n = million.size
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(million**power) - moment) < 5 * np.sqrt(variance / n)


def test_the_law_is_normal_to_the_resolution_of_a_million_draws(million):
    assert scipy.stats.kstest(million.ravel(), "norm").pvalue > 1e-3


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbors_are_uncorrelated(million, axis):
    left = np.take(million, range(million.shape[axis] - 1), axis)
    right = np.take(million, range(1, million.shape[axis]), axis)
    assert abs(np.mean(left * right)) < 5 / np.sqrt(left.size)


def test_the_two_words_of_a_block_are_independent(million):
    # A word's bits 20..31 choose one table entry and bits 8..19 the other.
    counts, _, _ = np.histogram2d(
        scipy.stats.norm.cdf(million[..., 0].ravel()),
        scipy.stats.norm.cdf(million[..., 1].ravel()),
        bins=10,
        range=[[0, 1], [0, 1]],
    )
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 1e-3
