"""Both gaps against their closed forms."""

import numpy as np
import pytest
import tensorflow as tf
from support.linear_gaussian import LinearGaussian

from kvae import VAE
from kvae.evaluation import inference_gap
from kvae.evaluation.local_posterior import free_values, place_values
from kvae.objectives import ELBO
from kvae.posteriors import SylvesterFlow


def test_gaps_are_the_known_divergences(correlated, x):
    scale, best = correlated.best_scale() * 1.5, correlated.best_scale()
    vae = correlated.vae(scale, shift=0.1)
    truth = correlated.log_prob(x)
    result = inference_gap(vae, x, num_samples=2000, log_likelihood=truth)
    approximation = correlated.gap(best)
    amortization = correlated.gap(scale, 0.1) - approximation
    # the bounds are Monte Carlo means of 2000 latents: 0.26 nats of spread each
    assert abs(result.approximation_gap.value - approximation) < 0.015
    assert abs(result.amortization_gap.value - amortization) < 0.015
    assert result.warning == ""
    assert result.still_rising < 0.05
    assert result.total_gap.value == pytest.approx(
        result.approximation_gap.value + result.amortization_gap.value
    )
    # its own log p(x) says the same
    own = inference_gap(vae, x, num_samples=2000)
    assert abs(own.approximation_gap.value - approximation) < 0.06


def test_a_family_that_holds_the_posterior_has_no_approximation_gap(exact):
    x = exact.sample(20)
    vae = exact.vae(exact.best_scale() * 2.0, shift=0.3)
    result = inference_gap(vae, x, num_samples=2000)
    assert abs(result.approximation_gap.value) < 0.01
    assert (
        abs(result.amortization_gap.value / exact.gap(exact.best_scale() * 2, 0.3) - 1)
        < 0.1
    )
    assert result.approximation_share < 0.05


@pytest.mark.slow
def test_an_unfinished_optimization_says_so(correlated, x):
    vae = correlated.vae(correlated.best_scale() * 8.0, shift=3.0)
    result = inference_gap(
        vae, x[:4], num_steps=10, num_samples=2000, learning_rate=0.2
    )
    assert "Raise num_steps" in result.warning


@pytest.mark.slow
def test_too_few_samples_for_log_p_say_so():
    weights = np.random.default_rng(0).normal(size=(35, 30))
    model = LinearGaussian(weights, np.zeros(35), 0.5)
    x = model.sample(4)
    found = inference_gap(model.vae(), x, num_steps=200, num_samples=200)
    truth = (model.log_prob(x) - found.per_example_optimized_elbo).mean()
    assert found.approximation_gap.value < truth - 1.0
    assert "degenerate" in found.warning
    given = inference_gap(
        model.vae(), x, 200, num_samples=200, log_likelihood=model.log_prob(x)
    )
    assert "degenerate" not in given.warning


def test_parameters_stay_valid():
    tril = np.array([[[0.5, 0.0], [0.3, 2.0]]], "float32")
    params = {
        "loc": tf.constant([[1.0, -2.0]]),
        "scale_tril": tf.constant(tril),
        "r": tf.constant([[[[0.5, 0.2], [0.0, -0.9]]]]),
    }
    start = place_values(free_values(params), params, 2)
    for name, value in params.items():
        np.testing.assert_allclose(start[name], value, rtol=1e-5)
    moved = place_values([v + 1.3 for v in free_values(params)], params, 2)
    assert np.all(np.linalg.eigvals(moved["scale_tril"][0].numpy()) > 0)
    assert moved["scale_tril"][0, 0, 1] == 0
    assert moved["scale_tril"][0, 1, 0] != tril[0, 1, 0]
    assert np.all(np.abs(np.diag(moved["r"][0, 0])) < 1)
    assert moved["r"][0, 0, 1, 0] == 0
    assert float(moved["r"][0, 0, 0, 1]) == pytest.approx(1.5)
    np.testing.assert_allclose(moved["loc"], [[2.3, -0.7]], rtol=1e-5)


def test_rotations_of_a_sylvester_flow_stay_orthogonal():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype("float32")
    square = tf.constant(rotation[None, None])
    params = {"q": square, "r": 0.1 * square, "s": 0.1 * square}
    start = place_values(free_values(params), params, 3)
    np.testing.assert_allclose(start["q"], square, atol=1e-6)
    noise = [tf.constant(rng.normal(size=v.shape), tf.float32) for v in params.values()]
    moved = place_values(noise, params, 3)["q"][0, 0]
    np.testing.assert_allclose(moved @ tf.transpose(moved), np.eye(3), atol=1e-5)
    assert np.abs(moved - rotation).max() > 0.1


@pytest.mark.slow
def test_a_sylvester_flow_does_not_exceed_log_p(correlated, x):
    vae = correlated.vae()
    decoder, likelihood = vae.decoder, vae.likelihood
    flow = VAE(
        vae.encoder, decoder, SylvesterFlow(2, 2), likelihood,
        objective=ELBO(kl="sampled"),
    )  # fmt: skip
    truth = correlated.log_prob(x[:6])
    found = inference_gap(flow, x[:6], 300, num_samples=2000, log_likelihood=truth)
    error = found.approximation_gap.standard_error
    assert found.approximation_gap.value > -4 * error - 0.01
    # it did move: an untrained encoder is far from the best of its family
    assert found.amortization_gap.value > 1


def test_a_logarithm_moves_by_addition():
    params = {"log_scale": tf.constant([[0.0, -1.0]])}
    moved = place_values([v + 0.5 for v in free_values(params)], params, 2)
    np.testing.assert_allclose(moved["log_scale"], [[0.5, -0.5]])


def test_directions_stay_on_the_sphere():
    params = {
        "loc": tf.constant([[0.6, 0.8]]),
        "concentration": tf.constant([[3.0]]),
    }
    moved = place_values([v - 1.0 for v in free_values(params)], params, 2)
    assert float(np.linalg.norm(moved["loc"])) == pytest.approx(1.0)
    assert float(moved["concentration"][0, 0]) == pytest.approx(3.0 / np.e)


def test_wrong_arguments_are_refused(vae, x):
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        inference_gap(vae, x, learning_rate=0.0)
    with pytest.raises(ValueError, match="num_steps must be an integer of at least 10"):
        inference_gap(vae, x, num_steps=5)
