"""Small data get small batches, and few steps are said with what to set."""

import math

import pytest

from kvae.training.config.config import Config
from kvae.training.run.number_of_steps import (
    FEW,
    advice_on_few_steps,
    advice_on_overfitting,
    batch_size_for,
    choose_batch_size,
    choose_epochs,
)


@pytest.mark.parametrize(
    ("examples", "size"),
    [(1, 16), (150, 16), (1279, 16), (1280, 32), (5119, 64), (5120, 128), (10**6, 128)],
)
def test_an_epoch_has_about_40_steps_or_more(examples: int, size: int) -> None:
    assert batch_size_for(Config(), examples) == size
    if size > 16:
        assert examples / size >= 40
    assert batch_size_for(Config(batch_size=7), examples) == 7


def test_the_choice_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "kvae"):
        assert choose_batch_size(Config(), 1294).batch_size == 32
        assert choose_batch_size(Config(batch_size=5), 1294).batch_size == 5
    assert [record.getMessage() for record in caplog.records] == [
        "batch size 32, because there are 1294 training examples: 41 steps per epoch"
    ]


@pytest.mark.parametrize(
    ("examples", "epochs", "why"),
    [
        (20, 200, "2000 steps or more"),
        (300, 110, "2000 steps or more"),
        (640, 50, ""),
        (10**5, 50, ""),
    ],
)
def test_epochs_are_enough_unless_they_are_given(
    examples: int, epochs: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "kvae"):
        chosen = choose_epochs(Config(), examples)
        assert choose_epochs(Config(epochs=3), examples).epochs == 3
    assert chosen.epochs == epochs
    enough = advice_on_few_steps(chosen, examples, epochs) is None
    assert enough == (epochs < 200)
    (said,) = caplog.messages
    assert said.startswith(f"{epochs} epochs of ")
    assert why in said


@pytest.mark.parametrize(("examples", "epochs"), [(150, 50), (1, 1), (10**5, 2)])
def test_what_to_set_is_enough(examples: int, epochs: int) -> None:
    advice = advice_on_few_steps(Config(), examples, epochs)
    assert advice is not None
    steps = math.ceil(examples / batch_size_for(Config(), examples))
    assert advice.startswith(f"{steps * epochs} steps in {epochs} epoch")
    enough = int(advice.split("--epochs ")[1].rstrip(")"))
    assert steps * enough >= FEW
    after = advice_on_few_steps(Config(), examples, epochs, "kvae train --resume a")
    assert after is not None
    assert after.endswith(
        f"extend the run with: kvae train --resume a --epochs {enough}"
    )
    assert advice_on_few_steps(Config(), examples, enough) is None


@pytest.mark.parametrize(
    ("elbos", "since"),
    [
        ([-48, -33, -35, -38, -41], "since epoch 2,"),
        ([-48, -33, -35, -34, -33.5], None),  # less than a tenth of the rise
        ([-48, -40, -35, -33, -39], None),  # in the last third
        ([-50], None),
    ],
)
def test_a_falling_validation_elbo_is_told(
    elbos: list[float], since: str | None
) -> None:
    advice = advice_on_overfitting([{"val_elbo": elbo} for elbo in elbos])
    assert (advice is None) == (since is None)
    if advice is not None and since is not None:
        assert advice.startswith(since)
        assert "from -33.00 to -41.00 nats" in advice
    assert advice_on_overfitting([{"elbo": elbo} for elbo in elbos]) is None
