"""The surprise of an entry given the rest, in closed form."""

import numpy as np
from scipy.stats import norm

from kvae.detection import entry_surprise
from kvae.detection.rows import count_shared, row_hashes


def test_surprise_is_the_conditional_density_of_the_entry(exact, vae, x):
    """-log p(x_i | rest) of a normal vector, with q equal to the true posterior."""
    covariance = exact.covariance
    wanted = np.empty((20, 3))
    for i in range(3):
        rest = np.delete(np.arange(3), i)
        gain = covariance[i, rest] @ np.linalg.inv(covariance[np.ix_(rest, rest)])
        loc = (x[:20, rest] - exact.bias[rest]) @ gain + exact.bias[i]
        variance = covariance[i, i] - gain @ covariance[rest, i]
        wanted[:, i] = -norm(loc, np.sqrt(variance)).logpdf(x[:20, i])
    got = entry_surprise(vae, x[:20], num_samples=20_000)
    # 1 / p(x_i|z) has a heavy tail: its mean converges slowly, from below.
    assert np.abs(np.median(got - wanted)) < 0.05
    assert np.corrcoef(got.ravel(), wanted.ravel())[0, 1] > 0.95


def test_missing_entries_have_none_and_impossible_ones_infinitely_much(vae, x):
    mask = np.ones_like(x)
    mask[:, 1] = 0
    nats = entry_surprise(vae, {"x": x, "mask": mask}, num_samples=4)
    assert (nats[:, 1] == 0).all()
    assert (nats[:, [0, 2]] != 0).all()


def test_equal_rows_are_counted():
    x = np.random.default_rng(0).normal(size=(50, 3, 2)).astype("float32")
    assert len(np.unique(row_hashes(x))) == 50
    assert count_shared(x, np.concatenate([x[10:14] + 1, x[40:]])) == 10
    swapped = x[:, ::-1]  # the same numbers in another order are another row
    assert count_shared(swapped, x) == 0
    assert count_shared(np.zeros((1, 6)), -np.zeros((1, 6))) == 1
