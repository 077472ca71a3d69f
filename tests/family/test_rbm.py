"""The RBM: its energy, its partition function, and what its steps do."""

import itertools

import keras
import numpy as np
import pytest

from kvae.family import RBM
from kvae.family.steps import run_steps


def random_rbm(pixels: int, units: int, spread: float) -> RBM:
    """An RBM with weights as large as trained ones, without training."""
    rng = np.random.default_rng(0)
    model = RBM(units)
    model.build((rng.random((50, pixels)) < 0.3).astype("float32"))
    model.weight.assign(spread * rng.normal(size=(pixels, units)))
    model.hidden_bias.assign(rng.normal(size=units))
    return model


def all_states(size: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=size)), "float32")


def test_free_energy_sums_the_joint_over_all_hidden_states() -> None:
    model = random_rbm(5, 4, 1.0)
    w, b, c = (np.asarray(v, "float64") for v in model.weights)
    v, h = all_states(5), all_states(4)
    joint = (v @ b)[:, None] + (h @ c)[None] + v @ w @ h.T
    np.testing.assert_allclose(
        -np.asarray(model.free_energy(v)), np.logaddexp.reduce(joint, axis=1), atol=1e-4
    )
    assert np.isclose(
        model.exact_log_partition(), np.logaddexp.reduce(joint, axis=None)
    )


@pytest.mark.parametrize("shape", [(12, 20), (20, 12)])
def test_annealing_finds_the_partition_function(shape: tuple[int, int]) -> None:
    """20 hidden units, or 20 pixels: log Z within 0.1 nat of the sum over all states."""
    model = random_rbm(*shape, 0.7)
    exact = model.exact_log_partition()
    start = np.logaddexp(0, model.visible_bias.numpy()).sum() + shape[1] * np.log(2)
    assert abs(start - exact) > 2  # what annealing has to bridge
    found = model.log_partition(num_chains=500, num_temperatures=1000)
    assert abs(found.value - exact) < 0.1
    assert abs(found.value - exact) < 4 * found.standard_error + 0.01
    assert 0 < found.standard_error < 0.1


def test_log_likelihood_is_normalized_and_says_how_it_was_found() -> None:
    model = random_rbm(12, 24, 0.5)
    found = model.log_likelihood(all_states(12))
    assert found.method == "exact"
    assert np.isclose(np.exp(found.per_example).sum(), 1.0, rtol=1e-4)
    wide = random_rbm(24, 24, 0.3)
    found = wide.log_likelihood(np.zeros((3, 24)))
    assert "AIS" in found.method
    assert found.method_error > 0
    with pytest.raises(ValueError, match=r"2\^24"):
        wide.exact_log_partition()


def test_a_step_follows_the_difference_of_free_energies() -> None:
    """Of one pattern, training raises its probability toward the best possible."""
    pattern = np.tile(np.array([1, 1, 1, 0, 0, 0], "float32"), (64, 1))
    pattern[32:] = 1 - pattern[32:]  # log 2 nats at best
    model = RBM(8, num_steps=400, batch_size=64, learning_rate=0.05).fit(pattern)
    value = model.log_likelihood(pattern).value
    assert -1.2 < value <= -np.log(2) + 1e-6  # independent pixels have -6 log 2 = -4.2
    samples = (model.sample(200) > 0.5).astype(int)
    share = (samples == samples[:, :1])[:, 1:3].all(1).mean()
    assert share > 0.9
    ends = samples[:, 0].mean()
    assert 0.2 < ends < 0.8  # both patterns


def test_a_gibbs_step_leaves_the_model_as_it_is() -> None:
    """Of all states with their probabilities, one step gives the same probabilities."""
    model = random_rbm(4, 3, 1.0)
    states = all_states(4)
    p = np.exp(model.log_likelihood(states).per_example)
    v = np.repeat(states, np.random.default_rng(1).multinomial(40_000, p), axis=0)
    moved = np.asarray(model._gibbs(v, keras.random.SeedGenerator(0)))
    index = (moved @ (2 ** np.arange(3, -1, -1))).astype(int)
    shares = np.bincount(index, minlength=16) / len(v)
    np.testing.assert_allclose(shares, p, atol=5 * np.sqrt(0.25 / len(v)))


def test_batches_of_a_pass_hold_each_example_once() -> None:
    seen: list[np.ndarray] = []

    def step(x, y):  # type: ignore[no-untyped-def]
        import tensorflow as tf

        tf.py_function(lambda b: seen.append(b.numpy()), [x], [])
        return tf.reduce_sum(x)

    x = np.arange(12, dtype="float32")[:, None]
    losses = run_steps(step, x, num_steps=6, batch_size=4, seed=0)
    for half in (seen[:3], seen[3:]):
        assert sorted(np.concatenate(half).ravel()) == list(range(12))
    assert losses[:3].sum() == losses[3:].sum() == x.sum()


def test_pixels_between_0_and_1_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1; round yours"):
        RBM().fit(np.full((10, 4), 0.5))
