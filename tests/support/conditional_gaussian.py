"""The conditionals of a multivariate normal, in closed form."""

from __future__ import annotations

import numpy as np
from scipy.stats import multivariate_normal

from support.linear_gaussian import LinearGaussian


def given(model: LinearGaussian, x: np.ndarray, visible: np.ndarray):
    """Mean and covariance of the hidden entries of one example given the others."""
    v, h = visible.astype(bool), ~visible.astype(bool)
    covariance = model.covariance
    if not v.any():
        return model.bias, covariance
    gain = covariance[np.ix_(h, v)] @ np.linalg.inv(covariance[np.ix_(v, v)])
    mean = model.bias[h] + gain @ (x - model.bias)[v]
    return mean, covariance[np.ix_(h, h)] - gain @ covariance[np.ix_(v, h)]


def log_prob(model: LinearGaussian, x: np.ndarray, visible: np.ndarray) -> float:
    """Log p(hidden | visible) of one example, in nats."""
    hidden = ~visible.astype(bool)
    if not hidden.any():
        return 0.0
    mean, covariance = given(model, x, visible)
    return float(multivariate_normal(mean, covariance).logpdf(x[hidden]))
