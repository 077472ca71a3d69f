"""P-values and thresholds: their promise by Monte Carlo, their formulas by hand."""

import math

import numpy as np
import pytest

from kvae.detection import conformal


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_normal_examples_raise_no_more_alarms_than_promised(alpha):
    """P(p <= alpha) = floor(alpha (n + 1)) / (n + 1) for scores without ties."""
    rounds, n = 20_000, 199
    random = np.random.default_rng(0)
    alarms = 0
    for _ in range(rounds):
        scores = random.standard_cauchy(n + 1)  # nothing is assumed about the law
        p = conformal.conformal_p_values(scores[:1], scores[1:])
        alarms += int(p[0] <= alpha)
    wanted = math.floor(alpha * (n + 1) + 1e-9) / (n + 1)
    error = math.sqrt(wanted * (1 - wanted) / rounds)
    assert abs(alarms / rounds - wanted) < 4 * error
    assert wanted <= alpha


def test_equal_scores_count_against_an_alarm():
    p = conformal.conformal_p_values([2.0, 3.0, 0.0, np.inf], [1.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(p, [4 / 5, 2 / 5, 1.0, 1 / 5])


@pytest.mark.parametrize(
    ("alpha", "fewest"), [(0.01, 99), (0.05, 19), (0.3, 3), (0.1, 9)]
)
def test_fewest_examples_is_the_first_number_that_can_raise_an_alarm(alpha, fewest):
    assert conformal.fewest_examples(alpha) == fewest
    worst = conformal.conformal_p_values([1.0], np.zeros(fewest))[0]
    assert worst <= alpha < conformal.conformal_p_values([1.0], np.zeros(fewest - 1))[0]
    with pytest.raises(ValueError, match=f"needs at least {fewest} calibration"):
        conformal.check_alpha(alpha, fewest - 1)


def test_the_advised_alpha_is_one_that_works():
    with pytest.raises(ValueError, match=r"alpha=0\.011 or more") as caught:
        conformal.check_alpha(0.01, 98)
    assert conformal.check_alpha(0.011, 98)
    assert "98" in str(caught.value)


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 1.5, math.nan, "1", True, None])
def test_a_level_that_is_none_is_refused(alpha):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        conformal.check_alpha(alpha)


def test_the_threshold_makes_the_same_decisions_as_the_p_values():
    random = np.random.default_rng(1)
    calibration = random.integers(0, 40, 150).astype(float)  # with ties
    scores = np.arange(-1.0, 42.0)
    for alpha in (0.01, 0.0199, 0.05, 0.3):
        cut = conformal.threshold(calibration, alpha)
        p = conformal.conformal_p_values(scores, calibration)
        np.testing.assert_array_equal(scores > cut, p <= alpha)


def test_discoveries_are_those_of_the_paper():
    """The example of Benjamini and Hochberg 1995, section 3.2: four rejections."""
    p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    chosen = conformal.benjamini_hochberg(p, 0.05)
    assert chosen.tolist() == [True] * 4 + [False] * 11
    assert not conformal.benjamini_hochberg([0.9, 0.8], 0.05).any()


def test_the_share_of_false_discoveries_is_below_its_level():
    """200 batches of 180 normal examples and 20 anomalies."""
    random = np.random.default_rng(2)
    shares = []
    for _ in range(200):
        calibration = random.normal(size=500)
        scores = random.normal(size=200) + np.where(np.arange(200) < 20, 4.0, 0.0)
        chosen = conformal.benjamini_hochberg(
            conformal.conformal_p_values(scores, calibration), 0.1
        )
        shares.append(chosen[20:].sum() / max(chosen.sum(), 1))
    error = np.std(shares) / math.sqrt(len(shares))
    assert np.mean(shares) < 0.1 + 3 * error
    assert np.mean(shares) > 0.03  # it does use its level


def test_the_best_threshold_is_the_cheapest_of_all():
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 60)
    scores = np.round(random.normal(size=60) + labels, 1)  # with ties

    def loss(cut):
        alarms = (scores >= cut)[labels == 0].mean()
        misses = (scores < cut)[labels == 1].mean()
        return 0.1 * 5 * misses + 0.9 * 2 * alarms

    every = [*np.unique(scores), np.inf]
    cut, found, alarms, misses = conformal.best_threshold(scores, labels, 2.0, 5.0, 0.1)
    assert found == pytest.approx(min(map(loss, every)))
    assert found == pytest.approx(loss(cut))
    assert alarms == pytest.approx((scores >= cut)[labels == 0].mean())
    assert misses == pytest.approx((scores < cut)[labels == 1].mean())


def test_free_misses_never_raise_an_alarm():
    cut, loss, alarms, misses = conformal.best_threshold([0.0, 1.0], [0, 1], miss=0.0)
    assert (loss, alarms) == (0.0, 0.0)
    assert cut > 0.0
    assert misses in (0.0, 1.0)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 0], {}, "received 2 and 0"),
        ([0, 2], {}, "0 .normal. or 1"),
        ([0], {}, "one 0"),
        ([0, 1], {"miss": -1}, "costs"),
        ([0, 1], {"prevalence": 1.0}, "prevalence"),
    ],
)
def test_labels_and_costs_that_say_nothing_are_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        conformal.best_threshold([0.0, 1.0], labels, **options)


def test_the_area_is_the_share_of_pairs_in_order():
    random = np.random.default_rng(4)
    normal, anomalies = random.integers(0, 9, 50), random.integers(2, 12, 30)
    pairs = np.sign(anomalies[:, None] - normal[None, :]) / 2 + 0.5
    assert conformal.area_under_roc(normal, anomalies) == pytest.approx(pairs.mean())
