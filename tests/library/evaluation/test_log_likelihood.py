"""Importance sampling on a model whose log p(x) is known."""

import keras
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from kvae import VAE, likelihoods, networks, posteriors
from kvae.evaluation import log_likelihood
from kvae.evaluation.examples import within
from kvae.evaluation.log_likelihood import importance_estimate


def test_the_truth_lies_within_the_stated_error(correlated, vae, x):
    result = log_likelihood(vae, x, num_samples=2000)
    error = result.log_likelihood.value - correlated.log_prob(x).mean()
    assert result.monte_carlo_error < 0.02  # small enough to matter
    assert abs(error) < 5 * result.monte_carlo_error
    # example by example: the error that the effective sample size states
    stated = np.sqrt(1 / result.per_example_ess - 1 / 2000)
    z = (result.per_example - correlated.log_prob(x)) / stated
    assert np.abs(z).max() < 5
    assert 0.5 < np.sqrt(np.square(z).mean()) < 1.6


def test_the_true_posterior_needs_one_sample(exact):
    # w = p(x, z) / p(z|x) = p(x) whatever z is
    x = exact.sample(8)
    result = log_likelihood(exact.vae(), x, num_samples=4)
    np.testing.assert_allclose(result.per_example, exact.log_prob(x), atol=2e-5)
    np.testing.assert_allclose(result.per_example_ess, 4, rtol=1e-4)


@pytest.mark.slow
def test_more_samples_come_closer_from_below(correlated, x):
    vae = correlated.vae(correlated.best_scale() * 0.7)
    truth = correlated.log_prob(x).mean()
    gaps = [
        truth - log_likelihood(vae, x, num_samples=k).log_likelihood.value
        for k in (1, 16, 2048)
    ]
    assert gaps[0] > gaps[1] > abs(gaps[2])
    assert abs(gaps[2]) < 0.1 < gaps[0]


def test_the_stated_bias_is_the_bias(correlated, vae):
    # 200 seeds of one example; the second-order bias of K samples is -(1/ESS - 1/K) / 2
    x = np.repeat(correlated.sample(1), 200, axis=0)
    result = log_likelihood(vae, x, num_samples=256)
    bias = result.per_example - correlated.log_prob(x)
    error = bias.std(ddof=1) / np.sqrt(200)
    assert abs(bias.mean() - result.bias) < 4 * error
    # and the stated Monte Carlo error is the spread over seeds
    assert abs(result.monte_carlo_error / error - 1) < 0.3


def test_no_bit_depends_on_order_or_cut(vae, x):
    whole = log_likelihood(vae, x, num_samples=100, seed=3)
    order = np.random.default_rng(0).permutation(len(x))
    shuffled = log_likelihood(vae, x[order], 100, seed=3, positions=order)
    np.testing.assert_array_equal(shuffled.per_example, whole.per_example[order])
    piece = log_likelihood(vae, x[7:20], 100, seed=3, positions=range(7, 20))
    np.testing.assert_array_equal(piece.per_example, whole.per_example[7:20])
    again = log_likelihood(vae, x, num_samples=100, seed=3)
    np.testing.assert_array_equal(again.per_example, whole.per_example)
    other = log_likelihood(vae, x, num_samples=100, seed=4)
    assert np.abs(other.per_example - whole.per_example).min() > 0


def test_blocks_continue_one_stream_of_latents(vae, x, monkeypatch):
    whole = log_likelihood(vae, x[:5], num_samples=100)
    monkeypatch.setattr("kvae.evaluation.examples._MAX_ROWS", 16)
    blocks = log_likelihood(vae, x[:5], num_samples=100)
    np.testing.assert_allclose(blocks.per_example, whole.per_example, atol=1e-5)


def test_network_results_do_not_depend_on_the_data_around():
    # real matrix products, where the number of rows could change the rounding
    vae = VAE(
        networks.mlp((16,), (32,), "tanh"),
        networks.mlp((3,), (32,), "tanh", role="decoder"),
        posteriors.DiagonalNormal(3),
        likelihoods.Bernoulli((16,)),
    )
    x = np.random.default_rng(0).integers(0, 2, (9, 16)).astype("float32")
    whole = log_likelihood(vae, x, 50).per_example
    single = log_likelihood(vae, x[6:7], 50, positions=[6]).per_example
    assert whole[6] == single[0]


def test_masks_and_conditions_reach_the_model(correlated):
    x = correlated.sample(6)
    vae = correlated.vae(np.array([1.5, 1.5]))  # wide: less is known with less seen
    mask = np.ones_like(x)
    mask[:, 3:] = 0
    hidden = np.where(mask == 1, x, np.nan)
    result = log_likelihood(vae, {"x": hidden, "mask": mask}, num_samples=5000)
    seen = multivariate_normal(correlated.bias[:3], correlated.covariance[:3, :3])
    z = (result.per_example - seen.logpdf(x[:, :3])) * np.sqrt(result.per_example_ess)
    assert np.abs(z).max() < 5

    encoder = networks.mlp((5,), (8,), condition_shape=(2,))
    decoder = networks.mlp((2,), (8,), condition_shape=(2,), role="decoder")
    conditional = VAE(
        encoder,
        decoder,
        posteriors.DiagonalNormal(2),
        likelihoods.Normal((5,), scale=1.0),
    )
    one = {"x": x, "condition": np.zeros((6, 2), "float32")}
    two = {"x": x, "condition": np.ones((6, 2), "float32")}
    values = [log_likelihood(conditional, d, 64).per_example for d in (one, two)]
    assert np.abs(values[0] - values[1]).min() > 1e-4


def test_degenerate_weights_are_said_in_words(correlated, vae, x):
    assert log_likelihood(vae, x, 1000).warning == ""
    bad = correlated.vae(correlated.best_scale() * 0.3, shift=1.0)
    result = log_likelihood(bad, x, 1000)
    assert "degenerate" in result.warning
    assert "Raise num_samples" in result.warning
    one = log_likelihood(vae, x[:2], 1)
    assert "ELBO, not a likelihood" in one.warning
    assert np.isnan(one.monte_carlo_error)  # unknown, not 0


def test_importance_estimate_is_exact_and_does_not_overflow():
    weights = np.array([1.0, 2.0, 5.0])
    value, ess = importance_estimate(np.log(weights) - 2000.0)
    assert value == pytest.approx(np.log(8 / 3) - 2000.0, abs=1e-12)
    assert ess == pytest.approx(64 / 30)
    assert importance_estimate(np.full(4, -np.inf)) == (-np.inf, 1.0)


def test_convolutions_go_through_the_plain_graph():
    x = np.random.default_rng(0).random((2, 8, 8, 1)).astype("float32")
    vae = VAE(
        keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)]),
        networks.mlp((2,), (4,), role="decoder"),
        posteriors.DiagonalNormal(2),
        likelihoods.Bernoulli((8, 8, 1)),
    )
    assert np.isfinite(log_likelihood(vae, x, 8).per_example).all()


def test_result_prints_and_serializes(vae, x):
    import json

    result = log_likelihood(vae, x[:3], 20)
    assert "log likelihood" in str(result)
    assert "nats per example" in str(result)
    fields = json.loads(json.dumps(result.to_dict(arrays=True)))
    assert fields["num_samples"] == 20
    assert len(fields["per_example"]) == 3
    assert "per_example" not in result.to_dict()
    bits = -result.log_likelihood.value / (np.log(2) * 5)
    assert result.bits_per_dim == pytest.approx(bits)


def test_wrong_arguments_are_refused(vae, x):
    with pytest.raises(
        ValueError, match="num_samples must be an integer of at least 1"
    ):
        log_likelihood(vae, x, 0)
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        log_likelihood(vae, x, 5, seed=-1)
    with pytest.raises(ValueError, match="positions must hold one integer per example"):
        log_likelihood(vae, x, 5, positions=[1, 2])
    with pytest.raises(ValueError, match="takes examples of shape"):
        log_likelihood(vae, x[:, :3], 5)
    with pytest.raises(
        TypeError, match="this function takes a kvae.VAE; received Dense"
    ):
        log_likelihood(keras.layers.Dense(2), x, 5)


def test_nothing_is_begun_after_the_time_is_up():
    """Two examples are always done, and a third is not computed to be thrown away."""
    begun = []

    def work():
        for number in range(5):
            begun.append(number)
            yield number

    assert list(within(work(), 0)) == [0, 1] == begun
    begun.clear()
    assert list(within(work(), None)) == [0, 1, 2, 3, 4] == begun
    assert list(within(work(), 3600)) == [0, 1, 2, 3, 4]
    assert list(within([7], 0)) == [7]
