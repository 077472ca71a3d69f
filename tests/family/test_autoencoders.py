"""The autoencoders: what each variation changes, against numpy and against a tape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kvae.family import Autoencoder, Contractive, Denoising, KLSparse, KSparse
from kvae.family.contractive import contraction
from kvae.family.sparse import k_largest, kl_sparsity
from kvae.family.steps import cross_entropy, mlp


def patterns() -> np.ndarray:
    rng = np.random.default_rng(0)
    kinds = (rng.random((4, 16)) < 0.5).astype("float32")
    return kinds[rng.integers(0, 4, 200)].reshape(-1, 4, 4)


def test_kl_sparsity_is_its_formula() -> None:
    a = np.random.default_rng(0).random((50, 7)).astype("float32")
    m, t = a.mean(0).astype("float64"), 0.1
    expected = (t * np.log(t / m) + (1 - t) * np.log((1 - t) / (1 - m))).sum()
    assert np.isclose(float(kl_sparsity(a, t)), expected, rtol=1e-5)
    still = np.full((5, 3), t, "float32")
    assert abs(float(kl_sparsity(still, t))) < 1e-6


def test_k_largest_keeps_as_many_and_no_others() -> None:
    a = np.random.default_rng(0).normal(size=(20, 9)).astype("float32")
    kept = np.asarray(k_largest(a, 3))
    assert ((kept != 0).sum(1) == 3).all()
    np.testing.assert_array_equal(kept[kept != 0], a[kept != 0])
    hidden = np.where(kept == 0, a, -np.inf).max(1)
    assert (np.where(kept != 0, kept, np.inf).min(1) > hidden).all()


def test_contraction_is_the_norm_of_the_jacobian() -> None:
    encoder = mlp((6, 4), seed=0)
    x = tf.constant(np.random.default_rng(0).random((5, 6)).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        code = Contractive().code(encoder(x))
    jacobian = tape.batch_jacobian(code, x)
    expected = np.square(jacobian).sum((1, 2))
    found = contraction(code, encoder.layers[-1].kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    penalty = Contractive(2.0).penalty(code, encoder)
    assert np.isclose(float(penalty), 2 * expected.mean(), rtol=1e-5)


def test_denoising_hides_the_share_of_pixels() -> None:
    seen = Denoising(0.3).corrupt(tf.ones((100, 100)), keras.random.SeedGenerator(0))
    assert abs(np.mean(seen) - 0.7) < 5 * np.sqrt(0.21 / 1e4)
    assert set(np.unique(seen)) == {0.0, 1.0}


def test_cross_entropy_is_that_of_the_bernoulli() -> None:
    x = np.array([[0.0, 1.0, 0.25]], "float32")
    logits = np.array([[1.0, -2.0, 0.5]], "float32")
    p = 1 / (1 + np.exp(-logits))
    expected = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1)
    np.testing.assert_allclose(cross_entropy(x, logits), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "variation",
    [None, Denoising(0.2), KLSparse(), KSparse(2), Contractive(0.01)],
    ids=lambda v: type(v).__name__,
)
def test_each_learns_four_patterns(variation: object) -> None:
    x = patterns()
    model = Autoencoder(variation, code_size=6, num_steps=300, learning_rate=1e-2)  # type: ignore[arg-type]
    model.fit(x)
    assert np.abs(model.reconstruct(x) - x).mean() < 0.12
    assert model.encode(x).shape == (200, 6)
    assert model.sample(3) is None
    assert model.log_likelihood(x) is None
    assert set(model.missing) == {"sample", "log_likelihood"}


def test_sparse_codes_are_as_sparse_as_asked() -> None:
    x = patterns()
    sparse = KLSparse(0.1, weight=30.0)
    model = Autoencoder(sparse, code_size=6, num_steps=300, learning_rate=1e-2).fit(x)
    np.testing.assert_allclose(model.encode(x).mean(0), 0.1, atol=0.06)
