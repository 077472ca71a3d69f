"""The two-sample test: its level, its power, and its statistics by hand."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from kvae.detection import drift
from kvae.detection.drift import _all_latents, _each_latent


def test_data_that_drifted_are_found_and_the_latent_named(exact, vae):
    reference, new = exact.sample(300, seed=1), exact.sample(200, seed=2)
    same = drift(vae, reference, new, num_permutations=199)
    assert same.p_value > 0.05
    assert "look like" in same.verdict
    new[:, 1] += 1.0  # the column that only the second latent explains
    moved = drift(vae, reference, new, num_permutations=199)
    assert moved.joint_p_value == pytest.approx(1 / 200)
    assert moved.p_value == pytest.approx(2 / 200)  # the smaller one of two tests
    assert "(p <= 0.01)" in moved.verdict
    assert moved.most_drifted == 1
    assert moved.p_values[1] == pytest.approx(1 / 200)
    assert "most of all z[1]" in moved.verdict
    assert moved.reference.shape == (300, 2)


def test_differences_are_those_of_kolmogorov_and_smirnov():
    random = np.random.default_rng(0)
    a = random.normal(size=(40, 3))
    b = np.round(random.normal(size=(25, 3)), 1)  # with ties
    a[:, 2] = np.round(a[:, 2], 1)
    found, _ = _each_latent(a, b, 19, random)
    wanted = [ks_2samp(a[:, d], b[:, d]).statistic for d in range(3)]
    np.testing.assert_allclose(found, wanted)


def test_the_joint_statistic_sees_what_single_latents_do_not():
    """Two latents with normal margins, independent in one sample and equal in the other."""
    random = np.random.default_rng(1)
    a = random.normal(size=(300, 2))
    b = np.repeat(random.normal(size=(300, 1)), 2, axis=1)
    _, joint = _all_latents(a, b, 99, random)
    _, single = _each_latent(a, b, 99, random)
    assert joint == pytest.approx(0.01)
    assert single.min() > 0.02


def test_both_tests_keep_their_level():
    random = np.random.default_rng(2)
    joint, single = [], []
    for _ in range(200):
        pool = random.standard_t(3, size=(40, 2))
        joint.append(_all_latents(pool[:25], pool[25:], 19, random)[1])
        single.append(_each_latent(pool[:25], pool[25:], 19, random)[1].min())
    error = np.sqrt(0.2 * 0.8 / 200)
    assert abs(np.mean(np.array(joint) <= 0.2) - 0.2) < 4 * error
    assert np.mean(np.array(single) <= 0.2) < 0.2 + 4 * error


def test_too_few_examples_are_refused(vae, x):
    with pytest.raises(ValueError, match="x_new has 9"):
        drift(vae, x, x[:9])
