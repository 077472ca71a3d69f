"""What the tests of single likelihoods share."""

import numpy as np
import tensorflow as tf
from scipy import special, stats


def doubles(**params):
    """Parameters as float64 tensors that broadcast to one shape."""
    arrays = np.broadcast_arrays(*(np.atleast_1d(v) for v in params.values()))
    return {k: tf.constant(a, "float64") for k, a in zip(params, arrays, strict=True)}


def entries(part, params, x):
    """Log-densities of entries, as float64 numpy."""
    return part.entry_log_prob(params, tf.constant(np.asarray(x, "float64"))).numpy()


def assert_masses_sum_to_one(part, params, support):
    """`params` of shape (n, 1); the support spans the columns."""
    total = special.logsumexp(entries(part, params, np.asarray(support)[None]), axis=1)
    np.testing.assert_allclose(total, np.zeros(len(total)), atol=2e-9)


def assert_draws_follow_masses(part, params, support, num=20000):
    """Chi-square over bins of at least five expected draws; params of shape (1, 1)."""
    masses = np.exp(entries(part, params, np.asarray(support)[:, None])[:, 0])
    draws = part.distribution(params).sample(num, seed=[7, 8]).numpy().ravel()
    found = np.array([np.isclose(draws, value).sum() for value in support], float)
    assert found.sum() == num  # nothing outside the support
    expected = masses * num
    rare = expected < 5
    if rare.any():
        found = np.append(found[~rare], found[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    keep = expected > 1e-3
    assert found[~keep].sum() == 0
    expected = expected[keep] * (found[keep].sum() / expected[keep].sum())
    assert stats.chisquare(found[keep], expected).pvalue > 1e-4


def assert_draws_follow_cdf(part, params, cdf, num=20000):
    """Kolmogorov-Smirnov; params of shape (1, 1)."""
    draws = part.distribution(params).sample(num, seed=[7, 8]).numpy().ravel()
    assert stats.kstest(draws, cdf).pvalue > 1e-4
