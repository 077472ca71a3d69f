import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats
from support.likelihood_checks import (
    assert_draws_follow_masses,
    assert_masses_sum_to_one,
)

from kvae.likelihoods import DiscretizedLogistic, DiscretizedLogisticMixture

GRID = np.linspace(0, 1, 4)


def random_params(rng, pixels, channels, components, batch=2):
    shape = (batch, *pixels, *channels, components)
    return {
        "logits": tf.constant(rng.normal(size=(batch, *pixels, components))),
        "loc": tf.constant(rng.normal(0.5, 0.4, shape)),
        "scale": tf.constant(np.exp(rng.normal(-1.5, 0.7, shape))),
    }


def masses(loc, scale):
    """(..., 4) masses of the four levels, from scipy's distribution function."""
    edges = np.array([-np.inf, 1 / 6, 0.5, 5 / 6, np.inf])
    return np.diff(stats.logistic.cdf(edges, loc[..., None], scale[..., None]), axis=-1)


def test_log_prob_mixes_whole_pixels():
    rng = np.random.default_rng(0)
    part = DiscretizedLogisticMixture(
        (2, 2, 3), components=3, levels=4, dtype="float64"
    )
    params = random_params(rng, (2, 2), (3,), 3)
    level = rng.integers(0, 4, (2, 2, 2, 3))
    weights = special.softmax(params["logits"], axis=-1)
    table = masses(params["loc"].numpy(), params["scale"].numpy())
    expected = np.zeros(2)
    for b, h, w in np.ndindex(2, 2, 2):
        pixel = sum(
            weights[b, h, w, k]
            * np.prod([table[b, h, w, c, k, level[b, h, w, c]] for c in range(3)])
            for k in range(3)
        )
        expected[b] += np.log(pixel)
    np.testing.assert_allclose(part.log_prob(params, GRID[level]), expected, rtol=1e-10)


def test_masked_channels_are_summed_out_of_their_pixel():
    rng = np.random.default_rng(1)
    part = DiscretizedLogisticMixture(
        (1, 1, 2), components=3, levels=4, dtype="float64"
    )
    params = random_params(rng, (1, 1), (2,), 3, batch=1)
    x = np.array([[[[GRID[2], np.nan]]]])
    seen = part.log_prob(params, x, np.array([[[[1, 0]]]]))
    every = [
        part.log_prob(params, np.array([[[[GRID[2], value]]]])).numpy()
        for value in GRID
    ]
    np.testing.assert_allclose(seen, special.logsumexp(every, axis=0), rtol=1e-10)


def test_masses_of_a_pixel_sum_to_one():
    rng = np.random.default_rng(2)
    part = DiscretizedLogisticMixture(
        (1, 1, 3), components=2, levels=4, dtype="float64"
    )
    params = random_params(rng, (1, 1), (3,), 2, batch=1)
    grid = np.stack(np.meshgrid(GRID, GRID, GRID), axis=-1).reshape(-1, 1, 1, 3)
    assert special.logsumexp(part.log_prob(params, grid)) == pytest.approx(0, abs=1e-12)


def test_masses_of_an_entry_sum_to_one_for_extreme_components():
    part = DiscretizedLogisticMixture((1,), components=2, dtype="float64")
    params = {
        "logits": tf.constant([[[-400.0, 400.0]], [[0.0, 0.0]]], "float64"),
        "loc": tf.constant([[[0.5, 0.2]], [[-1e3, 1.0]]], "float64"),
        "scale": tf.constant([[[1e-6, 1e6]], [[0.1, 1e-5]]], "float64"),
    }
    assert_masses_sum_to_one(part, params, np.arange(256) / 255)


def test_one_component_is_the_discretized_logistic():
    rng = np.random.default_rng(3)
    params = random_params(rng, (5,), (), 1)
    plain = {name: params[name][..., 0] for name in ("loc", "scale")}
    mixture = DiscretizedLogisticMixture((5,), components=1, dtype="float64")
    single = DiscretizedLogistic((5,), dtype="float64")
    x = rng.integers(0, 256, (2, 5)) / 255
    np.testing.assert_allclose(
        mixture.log_prob(params, x), single.log_prob(plain, x), rtol=1e-12
    )
    np.testing.assert_allclose(mixture.mean(params), single.mean(plain), rtol=1e-12)


def test_draws_follow_the_masses():
    part = DiscretizedLogisticMixture((1,), components=2, levels=8, dtype="float64")
    params = {
        "logits": tf.constant([[[0.3, -0.2]]], "float64"),
        "loc": tf.constant([[[0.1, 0.9]]], "float64"),
        "scale": tf.constant([[[0.05, 0.1]]], "float64"),
    }
    assert_draws_follow_masses(part, params, np.linspace(0, 1, 8))


def test_channels_of_a_drawn_pixel_share_their_component():
    part = DiscretizedLogisticMixture((1, 1, 2), components=2, dtype="float64")
    params = {
        "logits": tf.zeros((1, 1, 1, 2), "float64"),
        "loc": tf.constant([[[[[0.2, 0.8]] * 2]]], "float64")[:, 0],
        "scale": tf.fill((1, 1, 1, 2, 2), tf.constant(1e-3, "float64")),
    }
    draws = part.distribution(params).sample(2000, seed=[1, 1]).numpy()[:, 0, 0, 0]
    high = draws > 0.5
    assert np.array_equal(high[:, 0], high[:, 1])
    assert abs(high[:, 0].mean() - 0.5) < 5 * 0.5 / np.sqrt(2000)
    np.testing.assert_allclose(part.mean(params), np.full((1, 1, 1, 2), 0.5), atol=2e-3)


def test_components_start_apart():
    part = DiscretizedLogisticMixture((3,), components=4)
    loc = part(tf.zeros((1, 2)))["loc"].numpy()
    assert np.ptp(loc, axis=-1).min() > 0.01


def test_no_component_is_refused():
    with pytest.raises(ValueError, match="components .*received 0"):
        DiscretizedLogisticMixture((1,), components=0)
