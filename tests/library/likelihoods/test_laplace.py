import numpy as np
import pytest
from scipy import stats
from support.likelihood_checks import assert_draws_follow_cdf, doubles, entries

from kvae.likelihoods import Laplace


@pytest.mark.parametrize("scale", [1e-8, 0.3, 1e8])
def test_log_prob_is_the_formula_and_scipys(scale):
    part = Laplace((1,), dtype="float64")
    x = np.array([-1e6, -2.0, 0.5, 0.5 + 1e-9, 30.0])
    log_prob = entries(part, doubles(loc=0.5, scale=scale), x)
    formula = -np.abs(x - 0.5) / scale - np.log(2 * scale)
    np.testing.assert_allclose(log_prob, formula, rtol=1e-12)
    near = np.abs(x - 0.5) < 100 * scale  # further out scipy gives up
    np.testing.assert_allclose(
        log_prob[near], stats.laplace.logpdf(x, 0.5, scale)[near], rtol=1e-9
    )


def test_draws_follow_the_distribution_function():
    part = Laplace((1,), dtype="float64")
    params = doubles(loc=[[0.5]], scale=[[2.0]])
    assert_draws_follow_cdf(part, params, stats.laplace(0.5, 2.0).cdf)


@pytest.mark.parametrize(
    "argument", [{"scale": 0.0}, {"scale": "free"}, {"min_scale": 0.0}]
)
def test_a_scale_that_is_none_is_refused(argument):
    with pytest.raises(ValueError, match="Laplace expects .*scale.*received"):
        Laplace((1,), **argument)
