"""The bound against its closed form."""

import numpy as np
import pytest

from kvae import VAE, posteriors
from kvae.evaluation import elbo


def test_bound_is_log_likelihood_minus_the_known_kl(correlated, x):
    scale = correlated.best_scale() * 1.3
    result = elbo(correlated.vae(scale, shift=0.2), x, num_samples=2000)
    truth = correlated.log_prob(x) - correlated.gap(scale, 0.2)
    assert result.monte_carlo_error < 0.02
    assert abs(result.elbo.value - truth.mean()) < 5 * result.monte_carlo_error
    # the error over examples is the plain one
    assert result.elbo.standard_error == pytest.approx(
        result.per_example.std(ddof=1) / np.sqrt(len(x))
    )
    assert abs(result.elbo.standard_error / (truth.std(ddof=1) / 40**0.5) - 1) < 0.05


def test_rate_is_the_closed_form(correlated, vae, x):
    scale = correlated.best_scale()
    mean = (x - correlated.bias) @ correlated.gain.T
    rate = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).sum(1)
    result = elbo(vae, x, num_samples=2)
    np.testing.assert_allclose(result.per_example_rate, rate, rtol=1e-4)
    assert result.elbo.value == pytest.approx(
        -result.rate.value - result.distortion.value
    )
    assert "rate in closed form" in result.estimator


def test_a_pair_without_closed_form_is_sampled(correlated, vae, x, monkeypatch):
    monkeypatch.setattr(
        "kvae.evaluation.examples.has_exact_rate", lambda vae, inputs: False
    )
    result = elbo(vae, x, num_samples=4000)
    truth = correlated.log_prob(x).mean() - correlated.gap(correlated.best_scale())
    assert "from the same latents" in result.estimator
    assert abs(result.elbo.value - truth) < 5 * result.monte_carlo_error < 0.05


def test_the_true_posterior_has_no_gap(exact):
    x = exact.sample(10)
    result = elbo(exact.vae(), x, num_samples=4000)
    error = result.elbo.value - exact.log_prob(x).mean()
    assert abs(error) < 5 * result.monte_carlo_error < 0.1


def test_no_bit_depends_on_order(vae, x):
    whole = elbo(vae, x, 8).per_example
    order = np.random.default_rng(1).permutation(len(x))
    shuffled = elbo(vae, x[order], 8, positions=order).per_example
    np.testing.assert_array_equal(shuffled, whole[order])


def test_it_agrees_with_the_method_of_the_model(vae, x):
    ours = elbo(vae, x, 500, seed=1)
    theirs = vae.elbo(x, 500, seed=2)
    assert isinstance(vae, VAE)
    assert isinstance(vae.posterior, posteriors.DiagonalNormal)
    assert abs(ours.elbo.value - theirs.mean()) < 8 * ours.monte_carlo_error
