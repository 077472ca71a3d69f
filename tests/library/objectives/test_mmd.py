import numpy as np
import pytest
import tensorflow as tf

from kvae.objectives import ELBO, MMD, batch_mean
from kvae.objectives.mmd import unbiased_mmd


def numpy_mmd(z, u, kernel, scales, weight):
    """The same by loops over all pairs."""

    def k(a, b):
        square = float(((a - b) ** 2).sum())
        widths = [2 * len(a) * s**2 for s in scales]
        if kernel == "gaussian":
            return np.mean([np.exp(-square / c) for c in widths])
        return np.mean([c / (c + square) for c in widths])

    def mean(a, b, left, right, own):
        total = norm = 0.0
        for i in range(len(a)):
            for j in range(len(b)):
                if not (own and i == j):
                    total += left[i] * right[j] * k(a[i], b[j])
                    norm += left[i] * right[j]
        return total / norm

    ones = np.ones(len(u))
    return (
        mean(z, z, weight, weight, True)
        + mean(u, u, ones, ones, True)
        - 2 * mean(z, u, weight, ones, False)
    )


@pytest.mark.parametrize("kernel", ["inverse_multiquadratic", "gaussian"])
@pytest.mark.parametrize("weighted", [False, True])
def test_estimate_is_the_numpy_form(kernel, weighted):
    rng = np.random.default_rng(2)
    z, u = rng.normal(1.0, 2.0, (7, 3)), rng.normal(size=(7, 3))
    weight = rng.integers(0, 3, 7).astype(float) if weighted else np.ones(7)
    found = unbiased_mmd(z, u, kernel, (0.5, 2.0), weight if weighted else None)
    expected = numpy_mmd(z, u, kernel, (0.5, 2.0), weight)
    assert float(found) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_gaussian_kernel_agrees_with_the_closed_form(shift):
    """For N(m, I) and N(0, I), MMD^2 = 2 a^D (1 - exp(-|m|^2 / (C + 4))), a^2 = C/(C+4)."""
    dim, batch, repeats = 2, 16, 3000
    rng = np.random.default_rng(4)
    z = rng.normal(size=(repeats, batch, dim)) + shift
    u = rng.normal(size=(repeats, batch, dim))
    found = unbiased_mmd(z, u, "gaussian", (0.7,)).numpy()
    width = 2 * dim * 0.7**2
    height = (width / (width + 4)) ** (dim / 2)
    expected = 2 * height * (1 - np.exp(-dim * shift**2 / (width + 4)))
    error = found.std(ddof=1) / repeats**0.5
    assert abs(found.mean() - expected) < 5 * error
    assert 5 * error < 0.01


def test_fewer_than_two_examples_give_zero():
    z = tf.ones((3, 2))
    assert float(unbiased_mmd(z[:1], z[:1], "gaussian", (1.0,))) == 0
    weight = tf.constant([0.0, 1.0, 0.0])
    assert float(unbiased_mmd(z, z, "gaussian", (1.0,), weight)) == 0


def test_term_is_counted_once_and_leaves_the_elbo_alone(linear_gaussian, x):
    plain = linear_gaussian.parts(ELBO(num_samples=2), x)
    parts = linear_gaussian.parts(MMD(ELBO(num_samples=2), weight=5.0), x)
    added = batch_mean(parts.data_term) - batch_mean(plain.data_term)
    assert float(added) == pytest.approx(5.0 * float(parts.metrics["mmd"]), rel=1e-9)
    np.testing.assert_allclose(parts.elbo, plain.elbo, rtol=1e-12)


@pytest.mark.slow
def test_training_on_it_alone_brings_the_codes_to_the_prior(small_vae, binary):
    vae = small_vae(MMD(ELBO(beta=0.0), weight=100.0, scales=(0.5, 1.0)))
    vae.posterior.trainable_variables[1].assign([3.0, -3.0])  # the bias of the means
    before = vae.evaluate(binary, verbose=0, return_dict=True, batch_size=48)["mmd"]
    vae.fit(binary, batch_size=48, epochs=60, verbose=0)
    after = vae.evaluate(binary, verbose=0, return_dict=True, batch_size=48)["mmd"]
    assert before > 0.2
    assert after < 0.2 * before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel": "laplace"}, "received 'laplace'"),
        ({"scales": ()}, r"positive numbers; received \(\)"),
        ({"scales": (1.0, 0.0)}, "positive numbers; received"),
        ({"weight": -1.0}, "weight >= 0, or a schedule.*received -1.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MMD(**arguments)
