"""A report is made within its time, and says what it chose."""

from typing import Any

import numpy as np
import pytest
from support import small

from kvae import evaluation
from kvae.core.inputs import Inputs
from kvae.training.commands import report_budget
from kvae.training.commands.report_budget import choose_numbers, evaluate_within


@pytest.fixture(scope="module")
def vae() -> Any:
    model = small.vae()
    model.fit(small.binary(64), epochs=1, verbose=0)
    return model


INPUTS = Inputs(small.binary(300))


@pytest.mark.parametrize(
    ("seconds", "minutes", "chosen"),
    [
        (0.0016, 2, (300, 5000)),  # a microsecond each: 1.5 of 48 seconds
        (0.16, 2, (300, 1000)),  # 30 of 48 seconds; 2000 would take 60
        (1.6, 2, (200, 200)),  # of 1000 and 500 there are 300: even 200 take 60
        (1600.0, 0.1, (50, 100)),  # never less
    ],
)
def test_numbers_fit_the_share_of_the_time(
    vae: Any,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    minutes: float,
    chosen: tuple[int, int],
) -> None:
    """The probe is 8 examples of 200 latents, 1600 in all; 40 % of the time is theirs."""
    monkeypatch.setattr(report_budget, "timed", lambda *_, **__: seconds)
    assert choose_numbers(vae, INPUTS, minutes) == chosen


def test_without_time_the_gaps_are_left_out_and_this_is_said(
    vae: Any, caplog: pytest.LogCaptureFixture
) -> None:
    few = report_budget.first_rows(INPUTS, 50)
    with caplog.at_level("INFO", "kvae"):
        results = evaluate_within(vae, few, None, 20, minutes=1e-6)
    names = evaluation.suitable(vae, few)
    assert set(results) == set(names) - {"gaps"}
    assert "leaving out gaps for lack of time; --full has them" in caplog.text
    assert f"{names[0]} (1 of {len(names)}, about 0:00 left)" in caplog.text
    alone = evaluation.log_likelihood(vae, few, 20)
    np.testing.assert_allclose(
        results["log_likelihood"].per_example, alone.per_example, rtol=1e-6
    )
