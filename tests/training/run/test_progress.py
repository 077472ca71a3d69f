"""What is printed while a model trains."""

import io

import pytest
import rich.console

from kvae.training.run.progress import Progress, epoch_line

SMALL = {"elbo": -91.2, "rate": 24.1, "distortion": 67.1, "val_elbo": -92.345}
LARGE = {name: 12345.6 * value for name, value in SMALL.items()}


def test_a_line_shows_the_numbers_of_its_epoch() -> None:
    assert epoch_line(7, 120, SMALL, 3.14) == (
        "epoch   7/120  ELBO -91.20  rate 24.10  distortion 67.10  val -92.34  3.1 s"
    )
    code = {"loss": 3.0, "distortion": 2.5, "val_loss": float("nan"), "code_norm": 1.0}
    assert epoch_line(1, 2, code, 0) == (
        "epoch 1/2  loss 3.00  distortion 2.50  val nan  0.0 s"
    )


@pytest.mark.parametrize("logs", [SMALL, LARGE, {k: v * 1e9 for k, v in LARGE.items()}])
def test_a_line_fits_80_columns(logs: dict[str, float]) -> None:
    line = epoch_line(1234, 5000, logs, 4567.8)
    assert len(line) <= 80
    assert line.count("  ") >= 4  # the distortion may be omitted, nothing else


@pytest.mark.parametrize("terminal", [False, True])
def test_each_epoch_leaves_one_line_that_does_not_wrap(terminal: bool) -> None:
    text = io.StringIO()
    console = rich.console.Console(
        file=text, width=80, force_terminal=terminal, highlight=False
    )
    progress = Progress(epochs=3, steps=2, batch_size=4, console=console)
    progress.on_train_begin()
    for epoch in range(3):
        progress.on_epoch_begin(epoch)
        for batch in range(2):
            progress._drawn = 0.0  # as if a fifth of a second had passed
            progress.on_train_batch_end(batch, LARGE)
        progress.on_epoch_end(epoch, LARGE)
    progress.on_train_end()
    printed = [line for line in text.getvalue().splitlines() if "  rate " in line]
    assert len(printed) == 3
    assert all(f"epoch {i + 1}/3  ELBO" in line for i, line in enumerate(printed))
