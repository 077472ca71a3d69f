"""A VAE whose every quantity is known in closed form.

z ~ N(0, I_D),  x|z ~ N(W z + b, s^2 I),  q(z|x) = N(A x + a, diag(v))
p(x) = N(b, W W' + s^2 I),  p(z|x) = N(S W'(x - b) / s^2, S),  S = (I + W'W / s^2)^-1
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from scipy.stats import multivariate_normal

from kvae import VAE, likelihoods, posteriors
from kvae.objectives import ELBO


@dataclasses.dataclass(frozen=True)
class LinearGaussian:
    """The closed forms, in float64.

    Attributes:
        weights: (X, D) W.
        bias: (X,) b.
        noise: s.
    """

    weights: np.ndarray
    bias: np.ndarray
    noise: float

    @classmethod
    def random(cls, data: int = 5, dim: int = 2, noise: float = 0.5, seed: int = 0):
        rng = np.random.default_rng(seed)
        return cls(rng.normal(size=(data, dim)), rng.normal(size=data), noise)

    @classmethod
    def orthogonal(cls, noise: float = 0.5):
        """Columns of W at right angles: the true posterior is diagonal."""
        weights = np.array([[1.0, 0.0], [0.0, 1.5], [0.5, 0.0]])
        return cls(weights, np.zeros(3), noise)

    @property
    def covariance(self) -> np.ndarray:
        return self.weights @ self.weights.T + self.noise**2 * np.eye(len(self.bias))

    @property
    def posterior_covariance(self) -> np.ndarray:
        dim = self.weights.shape[1]
        precision = np.eye(dim) + self.weights.T @ self.weights / self.noise**2
        return np.linalg.inv(precision)

    @property
    def gain(self) -> np.ndarray:
        """(D, X): the posterior mean is gain @ (x - b)."""
        return self.posterior_covariance @ self.weights.T / self.noise**2

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        return multivariate_normal(self.bias, self.covariance).logpdf(x)

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return rng.multivariate_normal(self.bias, self.covariance, num).astype(
            "float32"
        )

    def best_scale(self) -> np.ndarray:
        """The scales of the diagonal normal with the least KL(q || p(z|x))."""
        return 1.0 / np.sqrt(np.diag(np.linalg.inv(self.posterior_covariance)))

    def gap(self, scale: np.ndarray, shift: np.ndarray | float = 0.0) -> float:
        """KL(N(m + shift, diag(scale^2)) || p(z|x)), m the true posterior mean."""
        cov = self.posterior_covariance
        precision = np.linalg.inv(cov)
        shift = np.zeros(len(cov)) + shift
        return 0.5 * float(
            np.trace(precision @ np.diag(scale**2))
            + shift @ precision @ shift
            - len(cov)
            + np.linalg.slogdet(cov)[1]
            - 2 * np.log(scale).sum()
        )

    def vae(
        self, scale: np.ndarray | None = None, shift: float = 0.0, prior: Any = None
    ) -> VAE:
        """The model in Keras; its encoder is right up to `scale` and `shift`.

        A prior that is given reads a condition of D numbers.
        """
        data, dim = self.weights.shape
        scale = self.best_scale() if scale is None else scale
        vae = VAE(
            keras.Sequential([keras.Input((data,)), keras.layers.Identity()]),
            keras.Sequential([keras.Input((dim,)), keras.layers.Identity()]),
            posteriors.DiagonalNormal(dim, min_scale=1e-6),
            likelihoods.Normal((data,), scale=self.noise),
            prior=prior,
            objective=ELBO(kl="exact" if prior is None else "sampled"),
        )
        shape = (None, data)
        vae.build(shape if prior is None else {"x": shape, "condition": (None, dim)})
        posterior, likelihood = vae.posterior, vae.likelihood
        posterior._loc.set_weights([self.gain.T, shift - self.gain @ self.bias])
        raw = np.log(np.expm1(scale - 1e-6))
        posterior._raw_scale.set_weights([np.zeros((data, dim)), raw])
        likelihood._loc._linear.set_weights([self.weights.T, self.bias])
        return vae
