"""Several scores in one."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.rows import take
from kvae.detection.scores.base import Score

_UNIT_ROWS = 200  # enough for a quantile


class Combined(Score):
    """The sum of several scores, each in units of how it varies over normal data.

        score = sum_j (s_j - median_j) / (q90_j - median_j)

    Median and 90 % quantile are those of normal data. Scores that are blind to different
    anomalies help one another: an example is unusual if it is so in one respect, or a
    little in several.

    Args:
        scores: not fitted; each must compute its value in tensors.

    Raises:
        ValueError: if there are none, or one is computed elsewhere.
    """

    name = "combined"
    unit = "spreads of normal data"
    needs_fit = True

    def __init__(self, scores: list[Score]) -> None:
        super().__init__()
        if not scores or not all(isinstance(each, Score) for each in scores):
            raise ValueError(
                f"Combined takes a list of at least one Score; received {scores!r}."
            )
        outside = [each for each in scores if not each.in_tensors]
        if outside:
            raise ValueError(
                f"{outside[0]!r} is not computed in tensors, so it can't be combined."
            )
        self.scores = list(scores)

    @property
    def label(self) -> str:
        """The names of the scores, joined by plus signs."""
        return " + ".join(score.label for score in self.scores)

    def fit(self, vae: Any, x: Any, seed: int = 0) -> None:
        """Fits every score to most of the data, and the units to the rest.

        The units come from other rows than the scores, because rows that a score was
        fitted to look more usual than new ones.
        """
        inputs = vae.complete_inputs(x)
        count = len(inputs.x)
        order = np.random.default_rng(seed).permutation(count)
        cut = max(count // 5, min(count // 2, _UNIT_ROWS))
        rest = take(inputs, np.sort(order[:cut])).to_keras()
        most = take(inputs, np.sort(order[cut:])).to_keras()
        found: dict[str, np.ndarray] = {}
        for place, score in enumerate(self.scores):
            score.fit(vae, most, seed)
            values = score(vae, rest, seed)
            values = values[np.isfinite(values)]
            middle, high = np.quantile(values, (0.5, 0.9)) if len(values) else (0, 0)
            found[f"{place}_middle"] = np.array(middle)
            found[f"{place}_spread"] = np.array(max(high - middle, 1e-6))
            found |= {f"{place}.{name}": v for name, v in score.fitted.items()}
        self.fitted = found

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the sum, (B,)."""
        total: Any = 0.0
        for place, score in enumerate(self.scores):
            start = f"{place}."
            own = {
                name.removeprefix(start): value
                for name, value in fitted.items()
                if name.startswith(start)
            }
            value = score.compute(model, inputs, key, own)
            total += (value - fitted[f"{place}_middle"]) / fitted[f"{place}_spread"]
        return total

    def get_config(self) -> dict[str, Any]:
        """Returns the names and arguments of the scores."""
        return {"scores": [[score.name, score.get_config()] for score in self.scores]}
