"""Sample scores against closed forms on normals, and against brute force."""

import keras
import numpy as np
import pytest
from scipy.linalg import sqrtm

from kvae import VAE, likelihoods, networks, posteriors
from kvae.evaluation import (
    extract_features,
    feature_classifier,
    frechet_distance,
    kernel_distance,
    neighbor_scores,
    sample_quality,
)

RNG = np.random.default_rng(0)


def whitened(num, dim, rng):
    """A sample whose mean and covariance are exactly 0 and I."""
    a = rng.normal(size=(num, dim))
    a -= a.mean(0)
    return a @ np.linalg.inv(np.linalg.cholesky(np.cov(a.T))).T


def test_frechet_distance_of_normals_is_exact():
    a = whitened(300, 3, np.random.default_rng(0))
    b = whitened(200, 3, np.random.default_rng(1))
    shift, scale = np.array([1.0, -2.0, 0.5]), np.array([0.5, 1.0, 3.0])
    expected = np.square(shift).sum() + np.square(scale - 1).sum()
    assert frechet_distance(a, b * scale + shift) == pytest.approx(expected)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_frechet_distance_matches_the_matrix_root():
    rng = np.random.default_rng(2)
    a = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    b = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 1.0
    ca, cb = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(
        ca + cb - 2 * sqrtm(ca @ cb).real
    )
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(a[::-1], b) == pytest.approx(expected)


def test_kernel_distance_of_normals_is_the_closed_form():
    # one feature, k = (uv + 1)^3: the squared discrepancy is
    # 3 (m1 - m1')^2 + 3 (m2 - m2')^2 + (m3 - m3')^2 in the raw moments
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(6000, 1)), 0.5 + 1.2 * rng.normal(size=(6000, 1))
    m1, m2 = 0.5, 0.25 + 1.44
    m3 = 0.5**3 + 3 * 0.5 * 1.44
    expected = 3 * m1**2 + 3 * (m2 - 1) ** 2 + m3**2
    found = kernel_distance(a, b, num_blocks=20)
    assert found.standard_error < 0.3 * expected
    assert abs(found.value - expected) < 4 * found.standard_error
    same = kernel_distance(a, rng.normal(size=(6000, 1)), num_blocks=20)
    assert abs(same.value) < 4 * same.standard_error


def test_neighbor_scores_match_brute_force():
    rng = np.random.default_rng(4)
    real, fake, k = rng.normal(size=(30, 2)), rng.normal(size=(20, 2)) + 0.7, 3

    def radius(points):
        return [
            sorted(np.linalg.norm(p - q) for j, q in enumerate(points) if j != i)[k - 1]
            for i, p in enumerate(points)
        ]

    inside = np.array(
        [
            [np.linalg.norm(p - q) <= r for q in fake]
            for p, r in zip(real, radius(real), strict=True)
        ]
    )
    back = np.array(
        [
            [
                np.linalg.norm(p - q) <= r
                for q, r in zip(fake, radius(fake), strict=True)
            ]
            for p in real
        ]
    )
    scores = neighbor_scores(real, fake, k)
    assert scores.precision == pytest.approx(inside.any(0).mean())
    assert scores.recall == pytest.approx(back.any(1).mean())
    assert scores.density == pytest.approx(inside.sum(0).mean() / k)
    assert scores.coverage == pytest.approx(inside.any(1).mean())


def test_neighbor_scores_tell_quality_from_variety():
    rng = np.random.default_rng(5)
    real = np.concatenate([rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 20])
    one_mode = neighbor_scores(real, rng.normal(size=(400, 2)))
    assert one_mode.precision > 0.9
    assert one_mode.recall < 0.6
    assert one_mode.coverage < 0.6
    blurred = neighbor_scores(real, 30 * rng.normal(size=(400, 2)))
    assert blurred.precision < 0.2
    order = rng.permutation(400)
    assert neighbor_scores(real[order], real) == neighbor_scores(real, real)


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images / 16).astype("float32"), data.target


def test_the_classifier_learns_and_says_how_well(digits):
    x, y = digits
    network = feature_classifier(x[:900], y[:900], epochs=12)
    accuracy = int(network.name.split("_")[-2])
    assert accuracy > 75
    assert extract_features(network, x[:7]).shape == (7, 64)


@pytest.mark.slow
def test_a_few_hundred_examples_are_enough_to_tell_classes_apart(digits):
    x, y = digits
    network = feature_classifier(x[:359], y[:359])
    assert int(network.name.split("_")[-2]) > 75


@pytest.mark.slow
def test_the_classifier_is_repeatable_and_leaves_the_global_seed_alone(digits):
    x, y = digits
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one, two = (feature_classifier(x[:100], y[:100], epochs=1) for _ in range(2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.testing.assert_allclose(one(x[:5]), two(x[:5]), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_sample_quality_says_what_the_features_are(digits):
    x, y = digits
    vae = VAE(
        networks.mlp((8, 8), (16,)),
        networks.mlp((2,), (16,), role="decoder"),
        posteriors.DiagonalNormal(2),
        likelihoods.Bernoulli((8, 8)),
    )
    untrained = sample_quality(vae, x[:200], y[:200])
    assert "small network trained here (classifier_of_10" in untrained.features
    assert untrained.coverage < 0.1
    assert untrained.frechet_of_half > 2 * untrained.frechet_of_data
    order = np.argsort(y[:200])
    sorted_ = sample_quality(vae, x[order], features="pixels")
    assert sorted_.frechet_of_half > 2 * sorted_.frechet_of_data  # halves at random
    few = sample_quality(vae, np.tile(x[:200], (4, 1, 1)), features="pixels")
    assert few.warning == ""  # 800 for 64 pixels
    few = sample_quality(
        vae, np.tile(x[:200], (4, 1, 1)), features="pixels", num_samples=100
    )
    assert "100 examples or samples are few for 64 features" in few.warning
    assert "biased" in untrained.warning
    own = keras.Sequential([keras.Input((8, 8)), keras.layers.Flatten()], name="mine")
    assert "'mine'" in sample_quality(vae, x[:50], features=own).features
    pixels = sample_quality(vae, x[:50], features="pixels")
    assert pixels.features == "the pixels themselves"
    with pytest.raises(ValueError, match="needs a feature space: pass labels"):
        sample_quality(vae, x[:50])
    with pytest.raises(ValueError, match="at least 40 examples; received 10"):
        sample_quality(vae, x[:10], y[:10])


def test_wrong_features_are_refused():
    with pytest.raises(ValueError, match=r"\(N, F\) and \(M, F\)"):
        frechet_distance(np.zeros((3, 2)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="at least 6 examples on each side"):
        neighbor_scores(np.zeros((5, 2)), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="at least 2 classes and 20 examples"):
        feature_classifier(np.zeros((30, 4)), np.zeros(30, int))
