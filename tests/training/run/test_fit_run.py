"""How steps are run: how many in one call, and whether by XLA."""

import keras
import numpy as np
import pytest
from support import small

from kvae.core.errors import UserError
from kvae.training.config.config import Config
from kvae.training.run.fit_run import choose_execution, steps_at_once
from kvae.training.run.optimizer import make_optimizer


@pytest.mark.parametrize(
    ("steps", "wanted", "chosen"),
    [
        (460, 10, 10),  # divides
        (461, 10, 11),  # a prime: 42 calls, one step more than a pass
        (41, 21, 41),  # the whole pass at once
        (60, 9, 10),  # the divisor nearest to what is wanted
        (100, 1, 1),
        (3, 50, 3),  # a short pass
        (1, 10, 1),
    ],
)
def test_an_epoch_is_hardly_longer_than_a_pass(steps, wanted, chosen):
    assert steps_at_once(steps, wanted) == chosen


@pytest.mark.parametrize("wanted", [1, 2, 10, 50])
def test_no_choice_near_the_one_wanted_would_waste_less(wanted):
    for steps in range(1, 500):
        found = steps_at_once(steps, wanted)
        near = [n for n in range(1, steps + 1) if wanted <= 2 * n <= 4 * wanted]
        assert -steps % found == min((-steps % n for n in near), default=0)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, (False, 10)),
        ({"jit_compile": True}, (True, 24)),
        ({"steps_per_execution": 7}, (False, 7)),
    ],
)
def test_the_steps_of_a_call_are_chosen_and_kept(given, chosen):
    vae = small.vae()
    config = choose_execution(vae, Config(epochs=100, **given), 10_000)
    assert (config.jit_compile, config.steps_per_execution) == chosen
    assert choose_execution(vae, config, 10_000) == config


def test_an_integer_rate_falls_along_the_same_cosine():
    rates = [
        make_optimizer(Config(learning_rate=rate, schedule="cosine"), 100)
        for rate in (1, 1.0)
    ]
    for step in (0, 50, 100):
        found = [float(o._learning_rate(step)) for o in rates]
        assert found[0] == found[1]


def test_a_fit_with_averaged_weights_ends_with_their_average():
    config = Config(learning_rate=0.05, ema_momentum=0.8)
    vae = small.vae(compile={"optimizer": make_optimizer(config, 6)})
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(small.weights(vae))
    )
    vae.fit(small.binary(), batch_size=10, verbose=0, callbacks=[record])
    expected = seen[0]
    for now in seen[1:]:
        expected = [0.8 * a + 0.2 * b for a, b in zip(expected, now, strict=True)]
    for found, average in zip(small.weights(vae), expected, strict=True):
        np.testing.assert_allclose(found, average, rtol=1e-5, atol=1e-6)
    assert len(seen) == 5
    moved = [np.abs(a - b).max() for a, b in zip(seen[-1], expected, strict=True)]
    assert max(moved) > 0.01  # the last weights are others


def test_averages_and_early_stopping_exclude_one_another():
    with pytest.raises(UserError, match="set only one of them"):
        Config(ema_momentum=0.99, early_stopping=3)
    with pytest.raises(UserError, match="between 0 and 1"):
        Config(ema_momentum=1.0)
