"""What a study recommends, in words, by a rule that it states."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kvae.evaluation.result import Estimate
from kvae.training.run.study import Point, numeric
from kvae.training.run.study_runs import CHOOSING

RULE = (
    "The rule: of the values whose mean ELBO is within two standard errors of the "
    "difference of the best one, the smallest is recommended."
)
ON_TEST = (
    "There is no validation set, so the values were chosen on the test set, and the ELBO "
    "of the best is a little optimistic: set validation=0.1 to choose on other examples."
)


def recommend(points: Sequence[Point], varied: dict[str, list[str]]) -> list[str]:
    """Recommends a value of each key, the other keys at their best values.

    Values are chosen by the ELBO of the validation set, and the test set says what the
    chosen ones are worth. Without a validation set, the test set has to do both.

    Args:
        points: of the study.
        varied: its values by key.

    Returns:
        sentences: one or more per key, the test ELBO of what they recommend, and the
            rule.
    """
    by = CHOOSING if all(CHOOSING in point.numbers for point in points) else "elbo"
    best = max(points, key=lambda point: point.estimate(by).value)
    sentences, chosen = [], {}
    for key, values in varied.items():
        others = {k: v for k, v in best.values.items() if k != key}
        line = [
            next(p for p in points if p.values == {**best.values, key: value})
            for value in values
        ]
        numbers = numeric(values)
        if numbers is not None:
            line = [line[i] for i in sorted(range(len(line)), key=numbers.__getitem__)]
        at = f" (at {_listed(others)})" if others else ""
        words, chosen[key] = _elbo_sentence(key, line, numbers is not None, by)
        sentences.append(words + at + ".")
        if numbers is not None and len(line) > 2:
            sentences.append(_rate_sentence(key, line))
    if by == "elbo":
        sentences.append(ON_TEST)
    else:
        test = next(p for p in points if p.values == chosen).estimate("elbo")
        sentences.append(
            "All this was chosen on the validation set. On the test set, which had no part "
            f"in the choice, {_listed(chosen)} has an ELBO of {test} nats."
        )
    if len(best.numbers[by]) < 2:
        return [
            *sentences,
            "One seed has no error: use --seeds 3 before you trust this.",
        ]
    return [*sentences, RULE]


def _elbo_sentence(
    key: str, line: list[Point], ordered: bool, by: str
) -> tuple[str, str]:
    """Says which value of a key to take; returns the value too."""
    estimates = [point.estimate(by) for point in line]
    top = max(range(len(line)), key=lambda i: estimates[i].value)
    good = [i for i, e in enumerate(estimates) if not _below(e, estimates[top])]
    chosen = good[0] if ordered else top
    value = line[chosen].values[key]
    of = "an ELBO" if by == "elbo" else "a validation ELBO"
    words = f"{key}: take {value}, with {of} of {estimates[chosen]} nats"
    if chosen != top:
        best = line[top].values[key]
        words += f"; {best} has {estimates[top]}, which is not clearly better"
    elif len(good) == 1 and len(line) > 1:
        rest = [e for i, e in enumerate(estimates) if i != top]
        second = max(rest, key=lambda e: e.value)
        words += f"; the next best value has {second}"
    if ordered and len(line) > 1 and chosen == top and top in (0, len(line) - 1):
        side = "smaller" if top == 0 else "larger"
        words += f"; it is at the edge of the study, so try {side} ones too"
    return words, value


def _rate_sentence(key: str, line: list[Point]) -> str:
    """Says from which value on no larger one has a clearly larger rate."""
    rates = [point.estimate("rate") for point in line]
    shown = ", ".join(
        f"{r.value:.1f} at {p.values[key]}" for r, p in zip(rates, line, strict=True)
    )
    for i, rate in enumerate(rates[:-1]):
        if all(not _below(rate, later, 0.02) for later in rates[i + 1 :]):
            words = f"the rate stops growing at {line[i].values[key]}"
            break
    else:
        words = "the rate still grows at the largest value"
    return f"{key}: {words} ({shown} nats)."


def _below(one: Estimate, other: Estimate, share: float = 0.0) -> bool:
    """Whether an estimate is clearly smaller: by two errors, and by a share of it."""
    error = math.hypot(one.standard_error, other.standard_error)
    error = 0.0 if math.isnan(error) else error
    return other.value - one.value > max(2 * error, share * abs(other.value))


def _listed(values: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())
