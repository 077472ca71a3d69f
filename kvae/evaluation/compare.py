"""Two or more models on the same examples, with paired errors."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from kvae.core.checks import check_dict
from kvae.evaluation.result import Estimate, Result


@dataclasses.dataclass(frozen=True)
class Comparison(Result):
    """Values of several models on the same examples, against the best of them.

    Attributes:
        quantity: what is compared, higher being better.
        best: name of the model with the highest mean.
        means: by model, with std / sqrt(N) as error.
        behind_best: by model, the mean over examples of best - model, with the standard
            error of that paired difference. It is much smaller than the errors of the
            means, because hard examples are hard for all models.
        num_examples: N.
        verdict: in words.
        warning: the warnings of the compared results, with the models' names, or "".
    """

    quantity: str
    best: str
    means: dict[str, Estimate]
    behind_best: dict[str, Estimate]
    num_examples: int
    verdict: str
    warning: str


def compare(
    per_example: dict[str, Any], quantity: str = "log p(x), nats"
) -> Comparison:
    """Compares models on the same examples.

    Args:
        per_example: by model, (N,) values of the same examples in the same order, higher
            being better; or results that have `per_example`, such as that of
            `log_likelihood`.
        quantity: what the values are.

    Returns:
        comparison: means, and differences from the best with paired standard errors.

    Raises:
        ValueError: if there are fewer than 2 models, their examples differ in number, or
            a value is not a number.
    """
    per_example = check_dict("per_example", per_example)
    values = {
        name: np.asarray(getattr(item, "per_example", item), "float64")
        for name, item in per_example.items()
    }
    shapes = {v.shape for v in values.values()}
    if len(values) < 2 or len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise ValueError(
            "compare takes at least 2 models with one value per example, for the same "
            f"examples; received {len(values)} models with shapes {sorted(shapes)}."
        )
    for name, v in values.items():
        if np.isnan(v).any():
            raise ValueError(
                f"compare takes numbers; {name} has NaN for {int(np.isnan(v).sum())} of "
                f"{len(v)} examples, the first at {int(np.isnan(v).argmax())}. Leave "
                "out these examples for all models, or train that model again."
            )
    warnings = {
        name: getattr(item, "warning", "") for name, item in per_example.items()
    }
    with np.errstate(invalid="ignore"):  # -inf - -inf: no difference is known
        means = {name: Estimate.mean_of(v) for name, v in values.items()}
        best = max(means, key=lambda name: means[name].value)
        behind = {n: Estimate.mean_of(values[best] - v) for n, v in values.items()}
    return Comparison(
        quantity=quantity,
        best=best,
        means=means,
        behind_best=behind,
        num_examples=len(values[best]),
        verdict=_verdict(best, behind),
        warning=" ".join(f"{name}: {said}" for name, said in warnings.items() if said),
    )


def _verdict(best: str, behind: dict[str, Estimate]) -> str:
    if not all(np.isfinite(gap.value) for gap in behind.values()):
        broken = [n for n, gap in behind.items() if not np.isfinite(gap.value)]
        return f"{' and '.join(broken)} gave probability 0 to an example of the data."
    others = {name: gap for name, gap in behind.items() if name != best}
    near = min(others, key=lambda name: others[name].value)
    gap = others[near]
    if gap.value > 3.0 * gap.standard_error:
        return f"{best} is ahead of {near}, the next, by {gap}: more than 3 errors."
    return f"{best} and {near} cannot be told apart here: they differ by {gap}."
