"""What is printed while a prior is fitted."""

import io

import pytest
import rich.console

from kvae.training.run import prior_progress
from kvae.training.run.prior_progress import PriorProgress


def fit(console: rich.console.Console) -> None:
    """Goes through four epochs as Keras does."""
    progress = PriorProgress("flow_matching", console)
    progress.set_params({"epochs": 4})
    progress.on_train_begin()
    for epoch in range(4):
        progress.on_epoch_end(epoch, {"loss": 1.25})
    progress.on_train_end()


def test_without_a_terminal_lines_come_at_times_and_say_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A clock of 11 seconds per epoch: lines after two and four of the four."""
    clock = iter(range(0, 99, 11))
    monkeypatch.setattr(prior_progress.time, "monotonic", lambda: float(next(clock)))
    text = io.StringIO()
    fit(rich.console.Console(file=text, width=80, highlight=False))
    assert text.getvalue().splitlines() == [
        "fitting flow_matching  50 %  loss 1.250  22 s left",
        "fitting flow_matching  100 %  loss 1.250  0 s left",
    ]


def test_a_terminal_is_left_clean() -> None:
    text = io.StringIO()
    console = rich.console.Console(file=text, width=80, force_terminal=True)
    fit(console)
    assert "fitting flow_matching" in text.getvalue()
    assert not console._live_stack  # the moving line has ended
