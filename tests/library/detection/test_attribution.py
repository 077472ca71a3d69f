"""The surprise of an entry given the rest, in closed form."""

import numpy as np
import pytest
from scipy.stats import norm
from support.linear_gaussian import LinearGaussian

from kvae import VAE, posteriors, priors
from kvae.detection import Detector, entry_surprise
from kvae.detection.robust import robust_entry_surprise
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


@pytest.fixture(scope="module")
def redundant():
    """Twelve entries of two latents, so that the rest of an example fixes each entry."""
    return LinearGaussian.random(data=12, seed=1)


@pytest.fixture(scope="module")
def robust(redundant):
    detector = Detector(redundant.vae(), "elbo", attribution="robust")
    return detector.calibrate(redundant.sample(300, seed=1))


def test_a_robust_latent_is_that_of_the_other_entries(redundant, robust):
    """Ridge regression on the entries that aren't cut off has the same residuals."""
    weights, noise = redundant.weights, redundant.noise
    x = redundant.sample(20, seed=2)
    x[:, 4] += 3.0  # six times the noise

    def nats(z):
        return -norm(z @ weights.T + redundant.bias, noise).logpdf(x)

    z = (x - redundant.bias) @ redundant.gain.T
    for _ in range(20):
        kept = nats(z) <= robust.usual_surprise + 2.0
        z = np.stack(
            [
                np.linalg.solve(
                    weights[k].T @ weights[k] + noise**2 * np.eye(2),
                    weights[k].T @ (row - redundant.bias)[k],
                )
                for k, row in zip(kept, x, strict=True)
            ]
        )
    assert not kept[:, 4].any()
    got = robust_entry_surprise(robust.vae, x, robust.usual_surprise)
    apart = np.abs(got - nats(z))  # a row may have a second optimum
    assert np.median(apart) < 0.01
    assert np.median(apart[:, 4]) < 0.1


def test_a_robust_attribution_leaves_the_other_entries_alone(
    redundant, robust, tmp_path
):
    x = redundant.sample(100, seed=3)
    faulty = x.copy()
    faulty[:, 4] += 3.0
    plain = Detector(robust.vae, "elbo").calibrate(redundant.sample(300, seed=1))
    others = np.arange(12) != 4
    moved = [
        np.abs(each.attribute(faulty) - each.attribute(x))[:, others].mean()
        for each in (plain, robust)
    ]
    assert moved[1] < 0.5 * moved[0]
    robust.save(tmp_path / "detector")
    loaded = Detector.load(tmp_path / "detector")
    assert loaded.attribution == "robust"
    np.testing.assert_allclose(
        loaded.attribute(faulty), robust.attribute(faulty), atol=1e-5
    )


def test_robust_attribution_refuses_latents_that_cannot_move_freely():
    model = VAE.for_data(
        np.zeros((20, 3), "float32"),
        latent_dim=3,
        posterior=posteriors.PowerSpherical(3),
        prior=priors.UniformSphere(3),
    )
    with pytest.raises(ValueError, match="the unit sphere. Use attribution="):
        Detector(model, attribution="robust")
    with pytest.raises(ValueError, match='must be "posterior" or "robust"'):
        Detector(model, attribution="pixels")
