"""The linear models: probabilistic PCA and factor analysis, of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_number
from kvae.core.extras import require
from kvae.family.base import LogLikelihood, Member
from kvae.family.graph import Graph

_PURPOSE = "PCA and factor analysis"


class _Linear(Member):
    """x = mean + W z + noise, z ~ Normal(0, 1), fitted by scikit-learn.

    A pixel that never changes would get an infinite density, so normal noise is added
    to the pixels, in training and wherever a density is computed.
    """

    labels = "none"

    def __init__(self, code_size: int, noise: float, seed: int) -> None:
        super().__init__(0, seed)
        self.code_size = code_size
        self.noise = check_number("noise", noise, 0.0)
        self.estimator: Any = None

    def _noisy(self, flat: np.ndarray, seed: int) -> np.ndarray:
        drawn = np.random.default_rng(seed).normal(size=flat.shape)
        return flat.astype("float64") + self.noise * drawn

    @property
    def loading(self) -> np.ndarray:
        """W, (D, K)."""
        return np.asarray(self.estimator.components_.T)

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        """Draws z, and shows the mean of p(x|z)."""
        self._check_trained()
        z = np.random.default_rng(seed).normal(size=(num, self.loading.shape[1]))
        return self._pictures(self.estimator.mean_ + z @ self.loading.T)

    def encode(self, x: Any) -> np.ndarray:
        """The mean of p(z|x) up to scale, (N, K)."""
        flat = self._flat(x)
        return np.asarray(self.estimator.transform(flat), "float32")

    def log_likelihood(self, x: Any, y: Any = None) -> LogLikelihood:
        """The exact density of the pixels with their noise."""
        noisy = self._noisy(self._flat(x), self.seed + 1)
        scores = self.estimator.score_samples(noisy)
        return LogLikelihood(np.asarray(scores), "exact", density=True)

    @property
    def weights(self) -> list[Any]:
        """Mean, loading, and variances of the noise."""
        found = self.estimator
        return [found.mean_, found.components_, np.atleast_1d(found.noise_variance_)]

    def use_graph(self) -> Graph:
        """Of a sample."""
        return Graph("(z) -> W z + mean -> [picture]")


class ProbabilisticPCA(_Linear):
    """A normal density with K directions, and equal noise in all others.

        p(x) = Normal(mean, W W^T + s^2 I)

    Args:
        code_size: K.
        noise: standard deviation of the noise added to the pixels.
        seed: of that noise.

    Source: Tipping, Bishop 1999, "Probabilistic principal component analysis", eqs. 4
        to 8.
    """

    title = "PCA"
    models = "one normal density, with K directions of variation"
    cost = "-log Normal(x; mean, W W^T + s^2 I), minimized at once"
    source = "Tipping, Bishop 1999"

    def __init__(self, code_size: int = 16, noise: float = 0.1, seed: int = 0) -> None:
        super().__init__(code_size, noise, seed)

    def fit(self, x: Any, y: Any = None) -> ProbabilisticPCA:
        """Finds the principal components; y is not used."""
        decomposition = require("sklearn.decomposition", _PURPOSE)
        noisy = self._noisy(self._start(x), self.seed)
        solver = "covariance_eigh" if len(noisy) > 10 * noisy.shape[1] else "full"
        self.estimator = decomposition.PCA(self.code_size, svd_solver=solver).fit(noisy)
        return self

    @property
    def loading(self) -> np.ndarray:
        """W, the components times the root of their variance beyond the noise, (D, K)."""
        found = self.estimator
        beyond = np.maximum(found.explained_variance_ - found.noise_variance_, 0.0)
        return np.asarray(found.components_.T * np.sqrt(beyond))

    def reconstruct(self, x: Any) -> np.ndarray:
        """Projects on the components."""
        flat = self._flat(x)
        codes = self.estimator.transform(flat)
        return self._pictures(self.estimator.inverse_transform(codes))

    def training_graph(self) -> Graph:
        """Of the fit."""
        return Graph("[x] -> covariance -> eigenvectors -> [W, s]")


class FactorAnalysis(_Linear):
    """A normal density with K factors, and noise of its own for each pixel.

        p(x) = Normal(mean, W W^T + diag(s_1^2, ..., s_D^2))

    Args:
        code_size: K.
        noise: standard deviation of the noise added to the pixels.
        seed: of that noise.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", section 12.2.4.
    """

    title = "Factor analysis"
    models = "one normal density, with K factors and noise of each pixel"
    cost = "-log Normal(x; mean, W W^T + diag(s^2)), by EM"
    source = "Bishop 2006, 12.2.4"

    def __init__(self, code_size: int = 16, noise: float = 0.1, seed: int = 0) -> None:
        super().__init__(code_size, noise, seed)

    def fit(self, x: Any, y: Any = None) -> FactorAnalysis:
        """Runs EM; y is not used."""
        decomposition = require("sklearn.decomposition", _PURPOSE)
        noisy = self._noisy(self._start(x), self.seed)
        rows = summary(noisy)
        self.estimator = decomposition.FactorAnalysis(
            self.code_size,
            tol=1e-2 * len(rows) / len(noisy),  # of a sum over rows
            random_state=self.seed,
        ).fit(rows)
        return self

    def reconstruct(self, x: Any) -> np.ndarray:
        """Shows the mean of p(x|z) at the mean of p(z|x)."""
        return self._pictures(self.encode(x) @ self.loading.T + self.estimator.mean_)

    def training_graph(self) -> Graph:
        """Of a step of EM."""
        return Graph("[x] -> E: p(z|x) -> M: W, s -> {-log p(x)}", "[x] -> {-log p(x)}")


def summary(x: np.ndarray) -> np.ndarray:
    """Returns few vectors with the mean and the covariance of many.

    A normal density sees no more of the data than these two, so EM finds the same from
    2 D rows as from N, in a fraction of the time.

    Args:
        x: (N, D).

    Returns:
        rows: (2 D, D); x itself if that is not shorter.
    """
    count, size = x.shape
    if count <= 2 * size:
        return x
    mean = x.mean(0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    spread = np.sqrt(size * np.maximum(values, 0.0))[:, None] * vectors.T
    return np.concatenate([mean + spread, mean - spread])
