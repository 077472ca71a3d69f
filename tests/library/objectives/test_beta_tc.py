import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp

from kvae.objectives import ELBO, BetaTC

SIZE = 50


def numpy_parts(parts, shares):
    """The three parts by loops over pairs and dimensions, for given mixture shares."""
    draw = parts.draw
    z = draw.z.numpy()[0]
    loc, scale = (draw.posterior[k].numpy() for k in ("loc", "scale"))
    density = stats.norm(loc[None], scale[None]).logpdf(z[:, None])  # (i, j, d)
    joint, product = [], []
    for i in range(len(z)):
        joint.append(logsumexp(density[i].sum(axis=1), b=shares[i]))
        product.append(
            sum(logsumexp(density[i, :, d], b=shares[i]) for d in range(z.shape[1]))
        )
    own = np.array([density[i, i].sum() for i in range(len(z))])
    prior = stats.norm().logpdf(z).sum(axis=1)
    return own - joint, np.subtract(joint, product), product - prior


def numpy_shares(estimator, batch):
    if estimator == "weighted":
        return np.full((batch, batch), 1 / (SIZE * batch))
    others = batch - 1
    shares = np.full((batch, batch), 1 / others)
    for i in range(batch):
        shares[i, i] = 1 / SIZE
        shares[i, (i + 1) % batch] = (SIZE - others) / (SIZE * others)
    return shares


@pytest.mark.parametrize("estimator", ["stratified", "weighted"])
def test_parts_are_the_numpy_form_and_add_up_to_the_rate(linear_gaussian, x, estimator):
    objective = BetaTC(SIZE, beta=6.0, alpha=0.5, gamma=2.0, estimator=estimator)
    parts = linear_gaussian.parts(objective, x)
    expected = numpy_parts(parts, numpy_shares(estimator, len(x)))
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(parts.metrics[name], value, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sum(expected), parts.rate, rtol=1e-10)
    weighted = 0.5 * expected[0] + 6 * expected[1] + 2 * expected[2]
    np.testing.assert_allclose(parts.kl_term, weighted, rtol=1e-9)
    sampled = linear_gaussian.parts(ELBO(kl="sampled"), x)
    np.testing.assert_allclose(parts.rate, sampled.rate, rtol=1e-12)


def test_stratified_shares_are_unbiased_for_the_mixture():
    """Over random batches E[sum_j share_ij f(j)] is the mean of f over the data set."""
    rng = np.random.default_rng(0)
    values = rng.exponential(size=SIZE)
    shares = BetaTC(SIZE)._shares(tf.constant(8), tf.float64).numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    estimates = []
    for _ in range(4000):
        first = rng.integers(SIZE)
        rest = rng.permutation(np.delete(np.arange(SIZE), first))[:7]
        estimates.append(shares[0] @ values[np.concatenate([[first], rest])])
    error = np.std(estimates, ddof=1) / len(estimates) ** 0.5
    assert abs(np.mean(estimates) - values.mean()) < 5 * error
    assert 5 * error < 0.1 * values.mean()


def test_a_batch_of_one_is_finite(linear_gaussian, x):
    parts = linear_gaussian.parts(BetaTC(SIZE), x[:1])
    assert np.isfinite(parts.kl_term).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset_size": 1}, "at least 2; received 1. Pass len"),
        ({"dataset_size": 9, "alpha": -1}, "alpha to be finite and >= 0; received -1"),
        ({"dataset_size": 9, "beta": -1}, "beta >= 0, or a schedule.*received -1"),
        ({"dataset_size": 9, "estimator": "mss"}, "received 'mss'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BetaTC(**arguments)
