"""The GAN: the costs, who changes in which step, and what training leads to."""

import numpy as np
import pytest
import tensorflow as tf

from kvae.family import GAN
from kvae.family.gan import critic_cost, generator_cost


def test_costs_are_those_of_the_paper() -> None:
    real, fake = (np.random.default_rng(s).normal(size=(6, 1)) for s in (0, 1))
    d_real, d_fake = (1 / (1 + np.exp(-v)) for v in (real, fake))
    expected = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    assert np.isclose(float(critic_cost(real, fake)), expected)
    assert np.isclose(float(generator_cost(fake)), -np.log(d_fake).mean())


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    x = np.zeros((128, 8, 8), "float32")
    x[:64, :, :4] = 1.0
    x[64:, :4, :] = 1.0
    return x


def test_each_step_changes_its_own_network(pictures: np.ndarray) -> None:
    model = GAN(4, width=8)
    x = tf.constant(model.build(pictures)[:32])
    steps = dict(zip(("critic", "generator"), model.make_steps(), strict=True))
    for name, step in steps.items():
        networks = {"critic": model.critic, "generator": model.generator}
        before = {
            k: [np.array(w) for w in n.trainable_variables] for k, n in networks.items()
        }
        value = float(step(x, tf.zeros(32, "int32")))
        assert np.isfinite(value)
        for kind, network in networks.items():
            same = [
                np.array_equal(a, w)
                for a, w in zip(before[kind], network.trainable_variables, strict=True)
            ]
            assert not any(same) if kind == name else all(same)


def test_steps_improve_what_they_are_for(pictures: np.ndarray) -> None:
    """The critic's step lowers its cost, the generator's step raises D of the fakes."""
    model = GAN(4, width=8, learning_rate=2e-3)
    x = tf.constant(model.build(pictures))
    critic, generator = map(tf.function, model.make_steps())
    labels = tf.zeros(len(x), "int32")
    first, *_, last = [float(critic(x, labels)) for _ in range(60)]
    assert last < 0.5 * first
    z = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def logits() -> float:
        return float(np.mean(model.critic(model.generator(z, training=True))))

    before = logits()
    for _ in range(60):
        generator(x, labels)
    assert logits() > before + 2


@pytest.mark.slow
def test_samples_come_to_look_like_both_kinds(pictures: np.ndarray) -> None:
    model = GAN(4, width=16, num_steps=600, learning_rate=2e-3).fit(pictures)
    samples = model.sample(200, seed=1)
    kinds = pictures[[0, -1]]
    errors = np.abs(samples[:, None] - kinds[None]).mean((2, 3))
    assert errors.min(1).mean() < 0.1
    assert 0.1 < (errors.argmin(1) == 0).mean() < 0.9


def test_sizes_that_two_strides_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        GAN().build(np.zeros((4, 9, 8)))
