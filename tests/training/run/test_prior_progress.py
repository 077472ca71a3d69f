"""What is printed while a prior is fitted."""

import io

import pytest
import rich.console

from kvae.training.run import prior_progress
from kvae.training.run.prior_progress import PriorProgress


def fit(console: rich.console.Console, epochs: int = 4) -> None:
    """Goes through the epochs as Keras does."""
    progress = PriorProgress("flow_matching", console)
    progress.set_params({"epochs": epochs})
    progress.on_train_begin()
    for epoch in range(epochs):
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
        "fitting flow_matching  50 %  loss 1.250  about 22 s left",
        "fitting flow_matching  100 %  loss 1.250  about 0 s left",
    ]


def test_the_first_epoch_with_its_compilation_is_not_extrapolated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """50 seconds for the first of 301 epochs, then 20 for each: 299 * 20 s = 100 min."""
    clock = iter([0.0, *(50.0 + 20.0 * epoch for epoch in range(301))])
    monkeypatch.setattr(prior_progress.time, "monotonic", lambda: next(clock))
    text = io.StringIO()
    fit(rich.console.Console(file=text, width=80, highlight=False), 301)
    first, second, *_, last = text.getvalue().splitlines()
    assert first == "fitting flow_matching   0 %  loss 1.250"
    assert second == "fitting flow_matching   0 %  loss 1.250  about 1.7 h left"
    assert last == "fitting flow_matching  100 %  loss 1.250  about 0 s left"


def test_a_terminal_is_left_clean() -> None:
    text = io.StringIO()
    console = rich.console.Console(file=text, width=80, force_terminal=True)
    fit(console)
    assert "fitting flow_matching" in text.getvalue()
    assert not console._live_stack  # the moving line has ended
