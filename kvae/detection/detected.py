"""What a detector found in a batch of examples."""

from __future__ import annotations

import dataclasses

import numpy as np

from kvae.detection.conformal import benjamini_hochberg
from kvae.evaluation.result import Result


@dataclasses.dataclass(frozen=True)
class Detected(Result):
    """Scores, p-values, and decisions.

    Attributes:
        score_name: which score.
        unit: of the scores.
        alpha: the share of normal examples that may raise a false alarm.
        threshold: scores above it are anomalies at this alpha.
        num_examples: N.
        num_anomalies: how many are above it.
        num_calibration: calibration examples, or groups of them.
        guarantee: what alpha promises, in words.
        score: (N,) higher = more unusual.
        p_value: (N,) from 1 / (num_calibration + 1) to 1.
        is_anomaly: (N,) booleans.
        attribution: (N, *data_shape) nats by which each entry is less probable than it
            is on average; None unless asked for.
    """

    score_name: str
    unit: str
    alpha: float
    threshold: float
    num_examples: int
    num_anomalies: int
    num_calibration: int
    guarantee: str
    score: np.ndarray
    p_value: np.ndarray
    is_anomaly: np.ndarray
    attribution: np.ndarray | None = None

    def discoveries(self, level: float) -> np.ndarray:
        """Chooses anomalies so that at most a share `level` of them is false, on average.

        Args:
            level: the false-discovery rate.

        Returns:
            chosen: (N,) booleans, by the procedure of Benjamini and Hochberg.
        """
        return benjamini_hochberg(self.p_value, level)

    def worst(self, count: int = 10) -> np.ndarray:
        """Returns the indices of the most unusual examples, the worst first."""
        return np.argsort(-self.score, kind="stable")[:count]
