from decimal import Decimal, localcontext

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from support.likelihood_checks import (
    assert_draws_follow_masses,
    assert_masses_sum_to_one,
    doubles,
    entries,
)

from kvae.likelihoods import DiscretizedLogistic

LEVELS = np.arange(256) / 255
SCALES = np.array([[1e-8], [1e-3], [0.05], [3.0], [1e8]])


@pytest.fixture
def part():
    return DiscretizedLogistic((1,), dtype="float64")


def exact(x, loc, scale):
    """The log-mass with 400 digits, so that no cancellation matters."""
    with localcontext() as context:
        context.prec = 400
        half = Decimal(1) / Decimal(510)

        def sigmoid(value):
            return 1 / (1 + (-value).exp())

        gap = Decimal(round(x * 255)) / 255 - Decimal(loc)
        upper = Decimal(1) if x == 1 else sigmoid((gap + half) / Decimal(scale))
        lower = Decimal(0) if x == 0 else sigmoid((gap - half) / Decimal(scale))
        return float((upper - lower).ln())


@pytest.mark.parametrize("loc", [-0.5, 0.0, 0.3137, 1.0, 40.0])
@pytest.mark.parametrize("scale", [0.0625, 1.0, 1e4])
def test_log_prob_has_the_exact_value_at_edges_and_in_tails(part, loc, scale):
    x = np.array([0, 1, 80, 254, 255]) / 255
    expected = [exact(value, loc, scale) for value in x]
    np.testing.assert_allclose(
        entries(part, doubles(loc=loc, scale=scale), x), expected, rtol=1e-10
    )


def test_log_prob_is_the_difference_of_scipys_distribution_functions(part):
    cdf = stats.logistic(0.4, 0.02).cdf
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]])
    np.testing.assert_allclose(
        np.exp(entries(part, doubles(loc=0.4, scale=0.02), LEVELS)),
        np.diff(cdf(edges)),
        atol=1e-15,
    )


@pytest.mark.parametrize("loc", [-3.0, 0.0, 0.501, 1.0, 1e6])
def test_masses_sum_to_one_for_any_scale(part, loc):
    assert_masses_sum_to_one(part, doubles(loc=loc, scale=SCALES), LEVELS)


def test_extreme_parameters_have_finite_gradients_in_float32():
    part = DiscretizedLogistic((1,))
    loc = tf.constant([[-1e4], [0.0], [0.5], [1e4]])
    for size in (1e-6, 1e-3, 1.0, 1e6):
        scale = tf.fill(loc.shape, size)
        for x in (0.0, 1 / 255, 0.2, 1.0):
            with tf.GradientTape() as tape:
                tape.watch([loc, scale])
                log_prob = part.log_prob({"loc": loc, "scale": scale}, [[x]])
            assert np.isfinite(log_prob).all()
            for gradient in tape.gradient(log_prob, [loc, scale]):
                assert np.isfinite(gradient).all()


@pytest.mark.parametrize("loc", [-0.2, 0.0, 0.5013, 1.1])
def test_mean_is_the_sum_over_levels(part, loc):
    params = doubles(loc=loc, scale=SCALES)
    masses = np.exp(entries(part, params, LEVELS[None]))
    np.testing.assert_allclose(
        part.mean(params)[:, 0], masses @ LEVELS, rtol=1e-9, atol=1e-12
    )


def test_mode_is_the_level_of_most_mass(part):
    rng = np.random.default_rng(0)
    params = doubles(
        loc=rng.normal(0.5, 0.6, (300, 1)), scale=np.exp(rng.normal(-3, 2, (300, 1)))
    )
    masses = entries(part, params, LEVELS[None])
    mode = part.mode(params).numpy()
    np.testing.assert_allclose(entries(part, params, mode)[:, 0], masses.max(axis=1))


def test_draws_follow_the_masses():
    part = DiscretizedLogistic((1,), levels=9, low=-1, high=1, dtype="float64")
    params = doubles(loc=[[0.6]], scale=[[0.3]])
    assert_draws_follow_masses(part, params, np.linspace(-1, 1, 9))


def test_units_of_the_data_do_not_matter():
    unit, bytes_ = DiscretizedLogistic((3,)), DiscretizedLogistic((3,), low=0, high=255)
    features = tf.constant(np.random.default_rng(0).normal(size=(2, 4)), "float32")
    a = unit(features)
    bytes_(features)
    bytes_.set_weights(unit.get_weights())
    x = np.array([[0, 3, 255], [7, 8, 9]])
    np.testing.assert_allclose(
        unit.log_prob(a, (x / 255).astype("float32")),
        bytes_.log_prob(bytes_(features), x),
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        255 * unit.mean(a), bytes_.mean(bytes_(features)), rtol=1e-4
    )


def test_off_grid_images_are_refused(part):
    part.check_support(LEVELS.astype("float32")[:, None])
    with pytest.raises(ValueError, match="256 equally spaced levels from 0 to 1"):
        part.check_support(np.array([[0.5]], "float32"))
    with pytest.raises(ValueError, match="received .*uint8.*low=0, high=255"):
        part.check_support(np.array([[200]], "uint8"))


@pytest.mark.parametrize("argument", [{"levels": 1}, {"low": 1.0}])
def test_a_grid_without_levels_is_refused(argument):
    with pytest.raises(ValueError, match="DiscretizedLogistic .*received"):
        DiscretizedLogistic((1,), **argument)
