"""Information on normals, whose every term has a closed form."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from kvae import priors
from kvae.evaluation import information, maximum_mean_discrepancy
from kvae.evaluation.mmd import squared_distances


def closed_forms(model, scale, shift=0.0):
    """z = A(x - b) + shift + scale e: the aggregate is normal, so all terms are known."""
    spread = model.gain @ model.covariance @ model.gain.T
    total = spread + np.diag(scale**2)
    mutual = 0.5 * np.linalg.slogdet(total)[1] - np.log(scale).sum()
    correlation = 0.5 * (np.log(np.diag(total)).sum() - np.linalg.slogdet(total)[1])
    shift = np.zeros(len(total)) + shift
    dimensions = 0.5 * (np.diag(total) + shift**2 - 1 - np.log(np.diag(total))).sum()
    return mutual, correlation, dimensions


@pytest.fixture(scope="module")
def measured(correlated):
    scale = correlated.best_scale() * 1.5
    vae = correlated.vae(scale, shift=0.5)
    result = information(vae, correlated.sample(4000), num_latents=1500)
    return result, closed_forms(correlated, scale, 0.5)


def test_terms_match_their_closed_forms(measured):
    # beside the Monte Carlo error, 4000 atoms stand for a normal: 0.01 nats of bias here
    result, (mutual, correlation, dimensions) = measured
    assert abs(result.mutual_information.value - mutual) < (
        5 * result.mutual_information.standard_error
    )
    assert result.mutual_information.standard_error < 0.04
    assert abs(result.total_correlation.value - correlation) < 0.03
    assert abs(result.dimension_wise_kl.value - dimensions) < 0.05
    assert abs(result.aggregate_kl.value - correlation - dimensions) < 0.06
    bits = result.mutual_information_bits.value
    assert bits == pytest.approx(result.mutual_information.value / np.log(2))


def test_the_terms_add_up(measured):
    result, _ = measured
    assert result.rate.value == pytest.approx(
        result.mutual_information.value + result.aggregate_kl.value, abs=1e-6
    )
    assert result.aggregate_kl.value == pytest.approx(
        result.total_correlation.value + result.dimension_wise_kl.value, abs=1e-5
    )


def test_a_shifted_aggregate_is_seen_by_the_discrepancy(measured, exact):
    result, _ = measured
    assert result.mmd > 10 * abs(result.mmd_of_two_prior_draws)
    assert "are not where p(z) draws" in result.verdict
    assert "kvae.fit_prior(vae, x)" in result.verdict
    right = information(exact.vae(), exact.sample(1000))  # aggregate = prior
    assert "are where p(z) draws" in right.verdict
    assert "fit_prior" not in right.verdict
    assert abs(right.mmd) < 0.01
    assert abs(right.aggregate_kl.value) < 0.1


def test_near_its_ceiling_the_information_warns(exact):
    vae = exact.vae(np.array([1e-3, 1e-3]))
    result = information(vae, exact.sample(50))
    assert result.mutual_information.value == pytest.approx(np.log(50), abs=0.1)
    assert "ceiling ln N = 3.91" in result.warning


def test_order_does_not_matter(correlated, vae):
    x = correlated.sample(200)
    order = np.random.default_rng(0).permutation(200)
    one = information(vae, x, num_latents=50)
    two = information(vae, x[order], num_latents=50, positions=order)
    for name in ("mutual_information", "total_correlation", "aggregate_kl"):
        left, right = getattr(one, name).value, getattr(two, name).value
        assert left == pytest.approx(right, abs=2e-6)
    assert one.mmd == pytest.approx(two.mmd, abs=1e-6)


def test_examples_in_the_order_of_a_label_are_no_worse(correlated):
    x = correlated.sample(2000)
    x = x[np.argsort(x @ correlated.gain[0])]
    vae = correlated.vae()
    some, all_ = information(vae, x, num_latents=500), information(vae, x)
    for name in ("rate", "mutual_information"):
        part, whole = getattr(some, name), getattr(all_, name)
        assert abs(part.value - whole.value) < 4 * part.standard_error
    assert some.mmd < 0.02  # the first 500 alone: 0.9


def test_too_few_examples_are_refused(vae, x):
    with pytest.raises(ValueError, match="needs at least 2 examples; received 1"):
        information(vae, x[:1])


@pytest.fixture(scope="module")
def told_its_mean(correlated):
    """p(z|c) = N(c, I), and the encoder of the model without a condition."""
    dim = correlated.weights.shape[1]
    prior = priors.ConditionalNormal(dim, min_scale=1e-6)
    vae = correlated.vae(prior=prior)
    prior._loc.set_weights([np.eye(dim), np.zeros(dim)])
    prior._raw_scale.set_weights([np.zeros((dim, dim)), np.full(dim, np.log(np.e - 1))])
    return vae


def test_a_conditional_prior_is_compared_under_one_condition(told_its_mean, correlated):
    x = correlated.sample(3000)
    c = np.linspace(-1.0, 0.5, correlated.weights.shape[1], dtype="float32")
    given = {"x": x, "condition": np.tile(c, (len(x), 1))}
    result = information(told_its_mean, given, num_latents=1500)
    mutual, correlation, dimensions = closed_forms(
        correlated, correlated.best_scale(), -c
    )
    assert abs(result.mutual_information.value - mutual) < (
        5 * result.mutual_information.standard_error
    )
    assert abs(result.total_correlation.value - correlation) < 0.03
    assert abs(result.dimension_wise_kl.value - dimensions) < (
        0.03 + 4 * result.dimension_wise_kl.standard_error
    )
    assert result.mmd > 10 * abs(result.mmd_of_two_prior_draws)
    given["condition"][7] = 0.0
    with pytest.raises(ValueError, match="example 7 has another condition than"):
        information(told_its_mean, given)


def test_conditional_mixtures_draw_under_one_condition(correlated):
    dim = correlated.weights.shape[1]
    vae = correlated.vae(prior=priors.ConditionalGaussianMixture(dim, 3))
    given = {"x": correlated.sample(50), "condition": np.zeros((50, dim), "float32")}
    result = information(vae, given)
    assert result.rate.value == pytest.approx(
        result.mutual_information.value + result.aggregate_kl.value, abs=1e-6
    )
    assert result.dimension_wise_kl is None  # a mixture is not a product of dimensions


def test_discrepancy_matches_the_double_sum():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 1.0

    def kernel(u, v):
        scales = 6.0 * np.array([0.1, 0.2, 0.5, 1, 2, 5, 10])
        return (scales / (scales + np.square(u - v).sum())).sum()

    within = [
        np.mean(
            [kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j]
        )
        for s in (a, b)
    ]
    across = np.mean([kernel(u, v) for u in a for v in b])
    assert maximum_mean_discrepancy(a, b) == pytest.approx(sum(within) - 2 * across)
    with pytest.raises(ValueError, match="at least 2 rows"):
        maximum_mean_discrepancy(a[:1], b)
    assert squared_distances(a, a).min() >= 0


def test_discrepancy_is_unbiased_for_equal_laws():
    rng = np.random.default_rng(1)
    values = [
        maximum_mean_discrepancy(rng.normal(size=(40, 2)), rng.normal(size=(40, 2)))
        for _ in range(100)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 10


def test_full_covariance_marginals_are_used():
    import tensorflow_probability as tfp

    from kvae.evaluation.encodings import is_factorized, marginals

    tril = np.array([[1.0, 0.0], [0.7, 0.5]])
    normal = tfp.distributions.MultivariateNormalTriL(np.zeros(2), tril)
    z = np.array([[0.3, -1.0]])
    cov = tril @ tril.T
    expected = [multivariate_normal(0, cov[i, i]).logpdf(z[0, i]) for i in (0, 1)]
    np.testing.assert_allclose(marginals(normal)(z)[0], expected)
    assert not is_factorized(normal)
