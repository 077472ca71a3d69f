"""The two-sample test: its level, its power, and its statistics by hand."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from kvae import VAE
from kvae.detection import drift
from kvae.detection.drift import _all_latents, _each_latent
from kvae.detection.two_sample import (
    adjusted_p_values,
    distance_of_levels,
    distance_of_numbers,
)


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


def test_the_distance_of_levels_is_half_the_difference_of_their_shares():
    first, second = np.array([0, 0, 1, 2]), np.array([1, 2, 2, 2, 3])
    distance = distance_of_levels(np.concatenate([first, second]))
    found = distance(np.arange(9)[None, :] < 4)
    wanted = 0.5 * np.abs(np.array([0.5, 0.25 - 0.2, 0.25 - 0.6, -0.2])).sum()
    np.testing.assert_allclose(found, [wanted])


def test_the_tests_of_columns_together_keep_their_level():
    """Numbers and many levels: the smallest of the adjusted p-values is at most 0.2 in a
    fifth of the samples that nothing separates.
    """
    random = np.random.default_rng(3)
    smallest = []
    for _ in range(200):
        distances = [
            distance_of_numbers(random.normal(size=40)),
            distance_of_levels(random.integers(0, 12, 40)),
            distance_of_levels(random.integers(0, 2, 40)),
        ]
        smallest.append(adjusted_p_values(distances, 25, 15, 19, random)[1].min())
    error = np.sqrt(0.2 * 0.8 / 200)
    assert abs(np.mean(np.array(smallest) <= 0.2) - 0.2) < 4 * error


def test_columns_that_drifted_are_named():
    """One by its values, one by its missing values, one by a level that is new."""
    pandas = pytest.importorskip("pandas")
    random = np.random.default_rng(0)

    def table(num):
        frame = pandas.DataFrame(
            {
                "age": random.normal(40, 10, num),
                "income": random.normal(2000, 300, num),
                "city": random.choice(["Bonn", "Oslo", "Rome"], num),
                "same": random.normal(0, 1, num),
                "fee": np.where(random.random(num) < 0.4, 0, random.normal(9, 1, num)),
            }
        )
        return frame.mask(random.random(frame.shape) < [0, 0.1, 0, 0, 0])

    reference, new = table(300), table(200)
    vae = VAE.for_data(reference, latent_dim=2)
    like = drift(vae, reference, new, num_permutations=99)
    assert set(like.column_p_values) == {"age", "income", "city", "same", "fee"}
    assert min(like.column_p_values.values()) > 0.05
    age = ks_2samp(reference["age"], new["age"]).statistic
    assert like.column_differences["age"] == pytest.approx(age, abs=1e-6)
    fee = ks_2samp(reference["fee"], new["fee"]).statistic
    assert like.column_differences["fee"] == pytest.approx(fee, abs=1e-6)
    new["age"] += 10
    new.loc[:100, "income"] = np.nan
    new.loc[:50, "city"] = "Paris"
    moved = drift(vae, reference, new, num_permutations=99)
    small = {name for name, p in moved.column_p_values.items() if p <= 0.05}
    assert small == {"age", "income", "city"}
    assert moved.p_value == pytest.approx(3 / 100)
    assert "3 of 5 columns differ at the 5 % level" in moved.verdict
    assert "age (" in moved.verdict


def test_too_few_examples_are_refused(vae, x):
    with pytest.raises(ValueError, match="x_new has 9"):
        drift(vae, x, x[:9])
