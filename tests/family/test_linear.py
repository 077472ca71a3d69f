"""PCA and factor analysis: scikit-learn's numbers, and those of the formula."""

import numpy as np
import pytest
import scipy.stats
import sklearn.decomposition
from sklearn.decomposition import PCA

from kvae.family import FactorAnalysis, ProbabilisticPCA
from kvae.family.linear import summary


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 2))
    noisy = 0.5 + 0.08 * z @ rng.normal(size=(2, 9)) + 0.03 * rng.normal(size=(300, 9))
    return np.clip(noisy, 0, 1).astype("float32").reshape(-1, 3, 3)


def test_ppca_is_scikit_learns_and_that_of_the_normal_density(x: np.ndarray) -> None:
    model = ProbabilisticPCA(2, noise=0.0).fit(x)
    found = model.log_likelihood(x)
    flat = x.reshape(len(x), -1).astype("float64")
    assert np.isclose(found.value, PCA(2).fit(flat).score(flat))
    # Tipping, Bishop 1999, eqs. 4, 7, 8: from the eigenvalues of the covariance.
    values, vectors = np.linalg.eigh(np.cov(flat.T))
    noise = values[:-2].mean()
    w = vectors[:, -2:] * np.sqrt(values[-2:] - noise)
    normal = scipy.stats.multivariate_normal(flat.mean(0), w @ w.T + noise * np.eye(9))
    np.testing.assert_allclose(found.per_example, normal.logpdf(flat), rtol=1e-6)
    assert found.method == "exact"
    assert found.density


def test_factors_of_the_summary_are_those_of_all_pictures(x: np.ndarray) -> None:
    """EM sees nothing but the mean and the covariance, and takes as many steps."""
    flat = x.reshape(len(x), -1).astype("float64")
    rows = summary(flat)
    assert len(rows) == 18
    np.testing.assert_allclose(rows.mean(0), flat.mean(0))
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.cov(flat.T, bias=True))
    expected = sklearn.decomposition.FactorAnalysis(2, random_state=0).fit(flat)
    found = FactorAnalysis(2, noise=0.0).fit(x).estimator
    assert found.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(found.get_covariance(), expected.get_covariance())
    assert len(summary(flat[:18])) == 18  # as they are


@pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])
def test_loading_makes_the_covariance_of_the_density(kind: type, x: np.ndarray) -> None:
    model = kind(2, noise=0.02).fit(x)
    noise = np.diag(np.broadcast_to(model.estimator.noise_variance_, 9))
    covariance = model.loading @ model.loading.T + noise
    np.testing.assert_allclose(covariance, model.estimator.get_covariance(), atol=1e-12)
    samples = model.sample(20_000).reshape(-1, 9)
    expected = model.loading @ model.loading.T
    error = np.sqrt(2 / len(samples)) * expected.max()  # of an entry, at most
    np.testing.assert_allclose(np.cov(samples.T), expected, atol=5 * error)


@pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])
def test_a_pixel_that_never_changes_has_a_finite_density(
    kind: type, x: np.ndarray
) -> None:
    still = x.copy()
    still[:, 0, 0] = 0.0
    one, other = (kind(2, noise=0.1).fit(v).log_likelihood(v).value for v in (x, still))
    # At best, a normal with standard deviation 0.1 in place of the pixel's own spread.
    assert other - one < 1.0


@pytest.mark.parametrize("kind", [ProbabilisticPCA, FactorAnalysis])
def test_reconstructions_are_nearer_than_the_mean(kind: type, x: np.ndarray) -> None:
    model = kind(2, noise=0.01).fit(x)
    error = np.square(model.reconstruct(x) - x).mean()
    assert error < 0.3 * np.square(x - x.mean(0)).mean()
    assert model.encode(x).shape == (300, 2)
