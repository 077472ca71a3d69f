"""Annealing on a model whose log p(x) is known, in both directions."""

import numpy as np
import pytest
from support.tiny_models import DIM, labels, pixels, tiny_vae

from kvae import posteriors, priors
from kvae.evaluation import annealed_importance_sampling, bidirectional_monte_carlo
from kvae.evaluation.annealing import Annealing

SETTING = {"num_chains": 16, "num_steps": 100, "num_leapfrog": 4}


@pytest.mark.slow
@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_the_truth_lies_within_the_stated_error(correlated, x, start):
    # the encoder is wrong; from the prior it is not used, from the posterior repaired
    vae = correlated.vae(correlated.best_scale() * 0.6, shift=0.5)
    result = annealed_importance_sampling(vae, x[:24], **SETTING, start=start)
    error = result.log_likelihood.value - correlated.log_prob(x[:24]).mean()
    assert result.monte_carlo_error < 0.08
    assert abs(error) < 5 * result.monte_carlo_error
    assert 0.5 < result.acceptance < 0.8  # the steps were adapted to 0.65
    assert result.warning == ""


@pytest.mark.slow
def test_both_directions_bracket_the_truth(correlated, vae):
    result = bidirectional_monte_carlo(vae, num_examples=24, **SETTING)
    truth = correlated.log_prob(result.x)
    below = truth - result.per_example_lower
    above = result.per_example_upper - truth
    for side in (below, above):
        error = side.std(ddof=1) / np.sqrt(len(side))
        assert side.mean() > -4 * error  # a bound, in expectation
        assert abs(side.mean()) < 0.1  # and a tight one
    assert 0 <= result.gap.value < 0.2
    # the simulated data have the law of the model
    spread = np.cov(result.x.T) / np.diag(correlated.covariance)[:, None]
    assert np.all((0.4 < np.diag(spread)) & (np.diag(spread) < 2.0))


@pytest.mark.slow
def test_the_bracket_closes_with_more_temperatures(vae):
    gaps = [
        bidirectional_monte_carlo(
            vae, 12, num_chains=16, num_steps=steps, num_leapfrog=4
        ).gap.value
        for steps in (3, 100)
    ]
    assert gaps[0] > 3 * max(gaps[1], 0.05)


@pytest.mark.slow
def test_an_example_depends_on_its_position_alone(vae, x):
    few = {"num_chains": 4, "num_steps": 5, "num_leapfrog": 4}
    whole = annealed_importance_sampling(vae, x[:4], **few)
    order = [2, 0]
    part = annealed_importance_sampling(vae, x[order], **few, positions=order)
    np.testing.assert_array_equal(part.per_example, whole.per_example[order])


@pytest.mark.parametrize("condition", [False, True])
def test_spheres_are_refused(condition):
    sphere = posteriors.PowerSpherical(DIM), priors.UniformSphere(DIM)
    model = tiny_vae(*sphere, condition=condition)
    model.build({"x": (None, 4), "condition": (None, 2)} if condition else (None, 4))
    data = {"x": pixels(4), "condition": labels(4)} if condition else pixels(4)
    with pytest.raises(ValueError, match="UniformSphere, on the unit sphere"):
        annealed_importance_sampling(model, data)
    with pytest.raises(ValueError, match="UniformSphere, on the unit sphere"):
        bidirectional_monte_carlo(model, 2, condition=labels(2) if condition else None)


def test_simulated_conditions_are_checked(vae):
    with pytest.raises(ValueError, match="condition"):
        bidirectional_monte_carlo(vae, 2, condition=labels(2))
    model = tiny_vae(condition=True)
    with pytest.raises(ValueError, match="num=3 samples"):
        bidirectional_monte_carlo(model, 3, condition=labels(2))


@pytest.mark.slow
def test_one_chain_does_not_know_its_error(vae, x):
    found = annealed_importance_sampling(vae, x[:2], num_chains=1, num_steps=10)
    assert np.isnan(found.monte_carlo_error)
    assert "Raise num_chains" in found.warning


def test_temperatures_rise_from_0_to_1():
    curve = Annealing(1, 10, 1, "prior", 0).temperatures()
    assert curve[0] == 0
    assert curve[-1] == 1
    assert np.all(np.diff(curve) > 0)


def test_wrong_arguments_are_refused(vae, x):
    with pytest.raises(ValueError, match='start must be "prior" or "posterior"'):
        annealed_importance_sampling(vae, x, start="middle")
    with pytest.raises(ValueError, match="num_chains must be an integer of at least 1"):
        annealed_importance_sampling(vae, x, num_chains=0)
    with pytest.raises(
        ValueError, match="num_examples must be an integer of at least 2"
    ):
        bidirectional_monte_carlo(vae, num_examples=1)
