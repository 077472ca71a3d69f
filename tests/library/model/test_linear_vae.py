"""A linear VAE against probabilistic PCA, whose maximum is known in closed form.

The model x = W z + b + sigma e is probabilistic PCA. Its posterior precision is
(W'W + sigma^2 I) / sigma^2, which is diagonal when the columns of W are orthogonal, and
every maximum of the likelihood can be rotated so. Hence a diagonal posterior loses
nothing: the best ELBO is the best log-likelihood (Lucas, Tucker, Grosse, Norouzi 2019,
"Don't blame the ELBO!").
"""

import keras
import numpy as np
import pytest
import scipy.stats
from sklearn.decomposition import PCA

import kvae

N, DIM, LATENT = 500, 5, 2
# Nats per example. After training the ELBO was 0.0004 below the maximum, -5.7821; without
# the second latent it would be 0.6 below.
TOLERANCE = 0.01


def data():
    rng = np.random.default_rng(0)
    mixing = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0][:, :LATENT] * [2.0, 1.0]
    noise = 0.5 * rng.normal(size=(N, DIM))
    x = rng.normal(size=(N, LATENT)) @ mixing.T + noise + np.arange(DIM)
    return x.astype("float32")


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    linear = keras.layers.Identity
    vae = kvae.VAE(
        keras.Sequential([keras.Input((DIM,)), linear()]),
        keras.Sequential([keras.Input((LATENT,)), linear()]),
        kvae.posteriors.DiagonalNormal(LATENT),
        kvae.likelihoods.Normal((DIM,), scale="learned"),
        seed=0,
    )
    steps = 2000
    rate = keras.optimizers.schedules.CosineDecay(0.03, steps)
    vae.compile(keras.optimizers.Adam(rate), steps_per_execution=100)
    # 100 copies of the data set in an epoch, and full batches: every step sees it whole.
    x = np.tile(data(), (100, 1))
    vae.fit(x, batch_size=N, epochs=steps // 100, shuffle=False, verbose=0)
    return vae


def exact_elbo(vae, x):
    """The ELBO of a linear VAE in closed form, in float64 numpy, per example."""
    q = vae.encode(x)
    loc = np.asarray(q.mean(), "float64")
    scale = np.asarray(q.stddev(), "float64")
    kernel, bias = (np.asarray(w, "float64") for w in vae.likelihood._loc.get_weights())
    sigma = float(vae.decode(np.zeros((1, LATENT))).stddev()[0, 0])
    residual = np.square(x - loc @ kernel - bias).sum(axis=1)
    spread = np.square(scale) @ np.square(kernel).sum(axis=1)
    log_likelihood = -0.5 * (residual + spread) / sigma**2
    log_likelihood -= DIM * (np.log(sigma) + 0.5 * np.log(2 * np.pi))
    rate = 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale)).sum(axis=1)
    return log_likelihood - rate


def exact_log_likelihood(vae, x):
    kernel, bias = (np.asarray(w, "float64") for w in vae.likelihood._loc.get_weights())
    sigma = float(vae.decode(np.zeros((1, LATENT))).stddev()[0, 0])
    covariance = kernel.T @ kernel + sigma**2 * np.eye(DIM)
    return scipy.stats.multivariate_normal(bias, covariance).logpdf(x)


def test_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca(trained):
    x = data()
    best = PCA(LATENT).fit(x).score(x)
    assert abs(exact_elbo(trained, x).mean() - best) < TOLERANCE


def test_the_tolerance_would_notice_a_latent_that_is_not_used():
    x = data()
    assert (
        PCA(LATENT).fit(x).score(x) - PCA(LATENT - 1).fit(x).score(x) > 10 * TOLERANCE
    )


def test_elbo_below_log_likelihood_below_probabilistic_pca(trained):
    x = data()
    log_likelihood = exact_log_likelihood(trained, x)
    assert np.all(exact_elbo(trained, x) <= log_likelihood + 1e-4)
    # sklearn divides the covariance by N - 1: its score is below the maximum by O(1/N^2).
    assert log_likelihood.mean() <= PCA(LATENT).fit(x).score(x) + DIM / N**2


def test_the_sampled_elbo_is_the_closed_form_within_its_standard_error(trained):
    x = data()
    runs = np.array([trained.elbo(x, num_samples=8, seed=s) for s in range(12)])
    error = runs.std(axis=0, ddof=1).mean() / np.sqrt(runs.size)
    assert error < TOLERANCE
    assert abs(runs.mean() - exact_elbo(trained, x).mean()) < 5 * error


def test_the_noise_scale_is_the_mean_of_the_discarded_variances(trained):
    x = data()
    sigma = float(trained.decode(np.zeros((1, LATENT))).stddev()[0, 0])
    # An estimate of a standard deviation from N (DIM - LATENT) residuals has this error;
    # both use the same data, so they agree far better.
    error = sigma / np.sqrt(2 * N * (DIM - LATENT))
    assert abs(sigma - np.sqrt(PCA(LATENT).fit(x).noise_variance_)) < error / 2
