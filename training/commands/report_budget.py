"""Evaluations within a time limit: how many examples and latents fit."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from kvae import evaluation
from kvae.core.inputs import Inputs
from kvae.evaluation.examples import first_rows

_LOG = logging.getLogger("kvae")

FULL = (1000, 5000, 100)
"""With --full: examples, latents per example for log p(x), and examples for gaps."""

_SAMPLES = (5000, 2000, 1000, 500, 200, 100)
_EXAMPLES = (1000, 500, 200, 100, 50)
_LIKELIHOOD_SHARE = 0.4  # share of the time for log p(x)
_LIKELIHOOD_LIMIT = 0.6  # share of the time left, if the machine became slower
_LAST = ("gaps", "samples")  # left out if no time is left
_PROBE = (8, 200)  # examples and latents that are timed
_FEWEST_GAPS = 4


def choose_numbers(vae: Any, inputs: Inputs, minutes: float) -> tuple[int, int]:
    """Times a few log-likelihoods, and chooses how many fit.

    Args:
        vae: the model.
        inputs: test examples.
        minutes: for the whole report.

    Returns:
        examples: how many, from the first one.
        samples: K, latents per example.
    """
    count = len(inputs.x)
    few = first_rows(inputs, min(_PROBE[0], count))
    seconds = timed(lambda: evaluation.log_likelihood(vae, few, _PROBE[1]), warm=True)
    each = seconds / (len(few.x) * _PROBE[1])
    allowed = 60 * minutes * _LIKELIHOOD_SHARE
    for examples in (min(wanted, count) for wanted in _EXAMPLES):
        for samples in _SAMPLES[:-1]:
            if each * examples * samples <= allowed:
                return examples, samples
    return min(_EXAMPLES[-1], count), _SAMPLES[-1]


def evaluate_within(
    vae: Any,
    inputs: Inputs,
    labels: Any,
    num_samples: int,
    minutes: float | None,
) -> dict[str, Any]:
    """Runs all evaluations that suit the model, and logs progress and time left.

    Args:
        vae: the model.
        inputs: test examples.
        labels: of them, or None.
        num_samples: K of the log-likelihood.
        minutes: for all; None sets no limit.

    Returns:
        results: by name. If time is short, log p(x) and the gaps are of fewer examples,
            and gaps and samples may be left out.
    """
    names = evaluation.suitable(vae, inputs, labels)
    began = time.monotonic()
    results: dict[str, Any] = {}
    for number, name in enumerate(names, 1):
        left = None if minutes is None else 60 * minutes - (time.monotonic() - began)
        hard = FULL[2]
        if left is not None and name in _LAST:
            hard = 0 if left <= 0 else hard
            if name == "gaps":
                began_gaps = time.monotonic()
                hard = _gaps_that_fit(vae, inputs, left)
                left -= time.monotonic() - began_gaps
            if hard == 0:
                _LOG.info("leaving out %s for lack of time; --full has them", name)
                continue
        shown = "" if left is None else f", {_clock(left)} left"
        _LOG.info("%s (%d of %d%s)", name, number, len(names), shown)
        if name == "log_likelihood":
            limit = None if left is None else left * _LIKELIHOOD_LIMIT
            found = evaluation.log_likelihood(vae, inputs, num_samples, seconds=limit)
            _say_fewer(name, found.num_examples, len(inputs.x))
            results[name] = found
        elif name == "gaps":
            few = first_rows(inputs, hard)
            results[name] = evaluation.inference_gap(vae, few, seconds=left)
            _say_fewer(name, results[name].num_examples, len(few.x))
        else:
            results |= evaluation.evaluate(vae, inputs, labels, only=(name,))
    return results


def _say_fewer(name: str, done: int, wanted: int) -> None:
    if done < wanted:
        _LOG.info(
            "%s: %d of %d examples, for lack of time; --full has all",
            name,
            done,
            wanted,
        )


def timed(function: Callable[[], Any], warm: bool = False) -> float:
    """Times a call in seconds; if `warm`, a second call, once graphs are compiled."""
    for _ in range(1 + warm):
        began = time.monotonic()
        function()
    return time.monotonic() - began


def _gaps_that_fit(vae: Any, inputs: Inputs, seconds: float) -> int:
    if seconds <= 0:
        return 0
    few = first_rows(inputs, _FEWEST_GAPS)
    began = time.monotonic()
    each = timed(lambda: evaluation.inference_gap(vae, few)) / len(few.x)
    left = seconds - (time.monotonic() - began)
    fitting = int(left / each)
    return min(fitting, FULL[2]) if fitting >= _FEWEST_GAPS else 0


def _clock(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"about {whole // 60}:{whole % 60:02d}"
