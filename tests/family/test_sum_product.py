"""The sum-product network: normalized, exact, and sampled from its own density."""

import itertools

import numpy as np
import pytest

from kvae.family import SumProductNetwork


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    rng = np.random.default_rng(0)
    base = rng.random((600, 4)) < 0.4
    x = np.concatenate([base, base ^ (rng.random((600, 4)) < 0.1), ~base], axis=1)
    return x.astype("float32")


@pytest.fixture(scope="module")
def model(data: np.ndarray) -> SumProductNetwork:
    network = SumProductNetwork(4, 3, depth=2, num_steps=300)
    return network.fit(data)


@pytest.fixture(scope="module")
def states() -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=12)), "float32")


def test_density_sums_to_one_over_all_inputs(
    model: SumProductNetwork, states: np.ndarray
) -> None:
    found = model.log_likelihood(states)
    assert found.method == "exact"
    assert np.isclose(np.exp(found.per_example).sum(), 1.0, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 3])
def test_it_sums_to_one_when_pixels_do_not_fill_the_parts(depth: int) -> None:
    network = SumProductNetwork(2, 2, depth=depth)
    network.build((np.random.default_rng(0).random((9, 11)) < 0.5).astype("float32"))
    x = np.array(list(itertools.product((0.0, 1.0), repeat=11)), "float32")
    total = np.exp(np.concatenate([network.log_prob(x[i::4]) for i in range(4)])).sum()
    assert np.isclose(total, 1.0, atol=1e-5)


def test_training_beats_independent_pixels(
    model: SumProductNetwork, data: np.ndarray
) -> None:
    mean = data.mean(0)
    entropy = -(mean * np.log(mean) + (1 - mean) * np.log(1 - mean)).sum()
    assert model.log_likelihood(data).value > -entropy + 2


def test_log_prob_is_that_of_its_sums_and_products(model: SumProductNetwork) -> None:
    """The same network with loops of numpy."""
    x = np.array([1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0], "float32")

    def softmax(w: np.ndarray) -> np.ndarray:
        return np.exp(w) / np.exp(w).sum()

    leaves = 1 / (1 + np.exp(-np.asarray(model.leaves, "float64")))
    whole = []
    for r in range(3):
        parts = []
        for p in range(4):
            probability = np.ones(4)
            for e, d in enumerate(model.order[r, p]):
                on = leaves[r, p, e]
                probability *= on if x[d] else 1 - on
            parts.append(probability)
        for mixture in model.mixtures:
            weights = np.asarray(mixture, "float64")[r]
            parts = [
                np.array(
                    [
                        np.outer(parts[2 * p], parts[2 * p + 1]).ravel()
                        @ softmax(weights[p, :, k])
                        for k in range(4)
                    ]
                )
                for p in range(len(parts) // 2)
            ]
        whole.append(parts[0])
    p = np.concatenate(whole) @ softmax(np.asarray(model.root, "float64"))
    assert np.isclose(np.log(p), model.log_prob(x[None])[0], atol=1e-4)


def test_samples_have_the_mean_of_the_density(
    model: SumProductNetwork, states: np.ndarray
) -> None:
    p = np.exp(model.log_likelihood(states).per_example)
    pixels, number = p @ states, 4000
    samples = model.sample(number, seed=1)
    np.testing.assert_allclose(samples.mean(0), pixels, atol=5 * np.sqrt(0.25 / number))
    # The halves of a pair depend on each other in samples as they do in the density.
    drawn = np.random.default_rng(0).random(samples.shape) < samples
    together = p @ (states[:, 0] * states[:, 8])
    assert abs((drawn[:, 0] & drawn[:, 8]).mean() - together) < 5 * np.sqrt(
        0.25 / number
    )
    assert abs(together - pixels[0] * pixels[8]) > 0.1
