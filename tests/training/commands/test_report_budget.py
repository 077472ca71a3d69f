"""A report is made within its time, and says what it chose."""

from typing import Any

import numpy as np
import pytest
from support import small

from kvae import evaluation
from kvae.core.inputs import Inputs
from kvae.evaluation import examples
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


@pytest.mark.slow
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
    np.testing.assert_array_equal(
        results["log_likelihood"].per_example, alone.per_example[:2]
    )


def test_a_machine_that_became_slow_gets_fewer_examples(
    vae: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every example takes a minute of a report of five: 60 % of it are three examples.

    The clock is read when a limit begins and after each example. What is done has the
    numbers of the whole; the gaps no longer fit.
    """
    clock = iter(range(0, 10**6, 60))
    monkeypatch.setattr(examples.time, "monotonic", lambda: float(next(clock)))
    few = report_budget.first_rows(INPUTS, 50)
    with caplog.at_level("INFO", "kvae"):
        results = evaluate_within(vae, few, None, 20, minutes=5)
    found = results["log_likelihood"]
    assert 2 <= found.num_examples <= 4
    assert f"{found.num_examples} of 50 examples, for lack of time" in caplog.text
    alone = evaluation.log_likelihood(vae, few, 20)
    first = alone.per_example[: found.num_examples]
    np.testing.assert_array_equal(found.per_example, first)
    assert "gaps" not in results


@pytest.mark.slow
def test_seconds_leave_at_least_two_examples(vae: Any) -> None:
    whole = evaluation.inference_gap(vae, INPUTS.x[:3], 10, num_samples=20)
    cut = evaluation.inference_gap(vae, INPUTS.x[:3], 10, num_samples=20, seconds=0)
    assert (whole.num_examples, cut.num_examples) == (3, 2)
    np.testing.assert_array_equal(cut.per_example_elbo, whole.per_example_elbo[:2])
    with pytest.raises(ValueError, match="seconds must be a finite number"):
        evaluation.log_likelihood(vae, INPUTS, 2, seconds=-1)
