"""Forecasts against the conditional of a linear-Gaussian model, known exactly."""

import numpy as np
import pytest
from support.conditional_gaussian import given
from support.linear_gaussian import LinearGaussian

from kvae.series import forecast

PAST = 3  # of 5 steps


@pytest.fixture(scope="module")
def exact():
    return LinearGaussian.random()


@pytest.fixture(scope="module")
def vae(exact):
    return exact.vae()


@pytest.fixture(scope="module")
def x(exact):
    return exact.sample(2)


@pytest.fixture(scope="module")
def found(vae, x):
    return vae.forecast(x[:, :PAST], num=6000, num_candidates=8000)


def test_futures_have_the_mean_and_spread_of_the_conditional(exact, x, found):
    assert found.draws.shape == (2, 6000, 2)
    for row in range(2):
        mean, covariance = given(exact, x[row], np.arange(5) < PAST)
        spread = np.sqrt(np.diag(covariance))
        count = 1 / (1 / 6000 + 1 / found.effective_sample_size[row])
        error = np.abs(found.mean[row] - mean) / spread
        assert error.max() < 5 / np.sqrt(count)
        ratio = found.draws[row].std(axis=0) / spread
        assert np.abs(ratio - 1).max() < 5 / np.sqrt(count)
        low, high = found.quantile((0.05, 0.95))[:, row]
        # The quantile of a normal at 0.95 is 1.645; its error is 2.1 spreads / sqrt(n).
        np.testing.assert_array_less(
            np.abs(high - mean - 1.645 * spread), 5 * 2.1 * spread / np.sqrt(count)
        )
        assert (low < found.mean[row]).all()


def test_the_last_steps_of_a_long_past_are_used(vae, x, found):
    long = np.concatenate([np.full((2, 7), 9.0), x[:, :PAST]], axis=1)
    again = forecast(vae, long, steps=2, num=6000, num_candidates=8000)
    np.testing.assert_array_equal(again.draws, found.draws)
    shorter = forecast(vae, x[:, :2], steps=1, num=4, num_candidates=8)
    assert shorter.draws.shape == (2, 4, 1)


def test_nan_in_the_past_is_missing(exact, vae, x):
    holes = x[:, :PAST].copy()
    holes[:, 1] = np.nan
    masked = {"x": np.where(np.isnan(holes), 7.0, holes), "mask": ~np.isnan(holes)}
    one, other = (
        vae.forecast(p, num=5000, num_candidates=6000) for p in (holes, masked)
    )
    np.testing.assert_array_equal(one.draws, other.draws)
    mean, covariance = given(exact, x[0], np.array([1, 0, 1, 0, 0]))
    count = 1 / (1 / 5000 + 1 / one.effective_sample_size[0])
    error = np.abs(one.mean[0] - mean[-2:]) / np.sqrt(np.diag(covariance))[-2:]
    assert error.max() < 5 / np.sqrt(count)


@pytest.mark.parametrize(
    ("past", "steps", "message"),
    [
        (np.zeros((2, 5)), None, "Say how many steps to forecast"),
        (np.zeros((2, 3)), 5, "less than the 5 steps"),
        (np.zeros((2, 3)), 0, "steps must be an integer of at least 1"),
        (np.zeros((2, 3, 1)), None, r"the past has the shape \(N, P\)"),
        (np.array([["a", "b"]]), None, "must hold numbers"),
        (np.full((2, 3), np.nan), None, "no visible entry"),
    ],
)
def test_a_past_that_leaves_nothing_to_forecast_is_refused(vae, past, steps, message):
    with pytest.raises(ValueError, match=message):
        vae.forecast(past, steps)
