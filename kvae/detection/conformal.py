"""P-values from the scores of normal examples, and decisions that keep their promise.

A higher score is more unusual. Nothing is assumed about how scores are distributed: if a
new example is normal, its score is equally likely to have any rank among the calibration
scores and its own.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from kvae.core.checks import is_number


def conformal_p_values(scores: Any, calibration: Any) -> np.ndarray:
    """Computes split-conformal p-values.

        p = (1 + number of calibration scores >= score) / (n + 1)

    If a new example and the calibration examples are exchangeable, P(p <= alpha) is at
    most alpha, whatever the score. This holds on average over calibration sets
    (marginally): for one set of n, the false-alarm rate is spread around alpha with a
    standard deviation of about sqrt(alpha * (1 - alpha) / n).

    Args:
        scores: (N,) of new examples, higher = more unusual.
        calibration: (n,) scores of normal examples that nothing was fitted to.

    Returns:
        p: (N,), from 1 / (n + 1) to 1.

    Source: Vovk, Gammerman, Shafer 2005, "Algorithmic Learning in a Random World",
        eq. 2.20; Laxhammar, Falkman 2010, for anomalies.
    """
    calibration = np.sort(np.asarray(calibration, "float64"))
    at_least = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return np.asarray((1.0 + at_least) / (len(calibration) + 1.0))


def fewest_examples(alpha: float) -> int:
    """Returns how many calibration examples a level needs: ceil(1 / alpha) - 1.

    With n of them the smallest p-value is 1 / (n + 1), so that fewer can never raise an
    alarm.
    """
    # 1 / 0.01 is 100.00000000000001 in some roundings, which must not ask for one more.
    return math.ceil(1.0 / alpha - 1e-9) - 1


def check_alpha(alpha: Any, calibration: int | None = None) -> float:
    """Returns a level as float.

    Args:
        alpha: the share of false alarms, above 0 and below 1.
        calibration: how many calibration examples there are; None doesn't check.

    Raises:
        ValueError: if it is out of range, or needs more calibration examples.
    """
    if not is_number(alpha) or not 0.0 < alpha < 1.0:
        raise ValueError(
            "alpha is the share of normal examples that may raise a false alarm, above 0 "
            f"and below 1; received {alpha!r}."
        )
    if calibration is not None and calibration < fewest_examples(alpha):
        most = 1.0 / (calibration + 1)
        raise ValueError(
            f"alpha={alpha:g} needs at least {fewest_examples(alpha)} calibration "
            f"examples; this detector has {calibration}. Calibrate with more normal "
            f"examples, or choose alpha={math.ceil(1000 * most) / 1000:g} or more."
        )
    return float(alpha)


def threshold(calibration: Any, alpha: float) -> float:
    """Returns the score above which p <= alpha.

    Args:
        calibration: (n,) scores of normal examples, n >= `fewest_examples(alpha)`.
        alpha: the share of false alarms.
    """
    ordered = np.sort(np.asarray(calibration, "float64"))
    allowed = math.floor(alpha * (len(ordered) + 1) + 1e-9) - 1  # scores at or above it
    return float(ordered[len(ordered) - 1 - allowed])


def benjamini_hochberg(p_values: Any, level: float) -> np.ndarray:
    """Chooses discoveries so that at most a share `level` of them is false, on average.

        reject the k smallest, k = max{ i : p_(i) <= level * i / N }

    Conformal p-values of one batch share their calibration scores, and so are positively
    dependent; the procedure holds for them.

    Args:
        p_values: (N,).
        level: the false-discovery rate.

    Returns:
        chosen: (N,) booleans.

    Source: Benjamini, Hochberg 1995; for conformal p-values, Bates et al. 2023,
        arXiv:2104.08279, theorem 2.
    """
    p_values = np.asarray(p_values, "float64")
    order = np.sort(p_values)
    count = len(order)
    # The small factor keeps p = 2 / 100 at 0.02 from being lost to rounding.
    within = order <= level * np.arange(1, count + 1) / count * (1 + 1e-12)
    if not within.any():
        return np.zeros(count, bool)
    return p_values <= order[np.flatnonzero(within)[-1]]


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A threshold that was chosen with labels.

    Attributes:
        score: alarms are raised for scores of at least this.
        loss: the mean loss per example at it.
        false_alarm_rate: share of normal examples with an alarm.
        miss_rate: share of anomalies without one.
        p_value: the level that the calibration scores give this threshold.
    """

    score: float
    loss: float
    false_alarm_rate: float
    miss_rate: float
    p_value: float


def best_threshold(
    scores: Any,
    labels: Any,
    false_alarm: float = 1.0,
    miss: float = 1.0,
    prevalence: float | None = None,
) -> tuple[float, float, float, float]:
    """Finds the threshold with the smallest mean loss on labeled examples.

        loss = prevalence * miss * miss rate + (1 - prevalence) * false_alarm * alarm rate

    Args:
        scores: (N,), higher = more unusual.
        labels: (N,), 1 for an anomaly.
        false_alarm: the cost of one false alarm.
        miss: the cost of one missed anomaly, in the same currency.
        prevalence: share of anomalies where the threshold will be used; that of the
            labels if None.

    Returns:
        threshold: alarms are raised at or above it; halfway between two scores, and
            infinity if it is cheapest never to raise one.
        loss: mean per example.
        false_alarm_rate: share of normal examples.
        miss_rate: share of anomalies.

    Raises:
        ValueError: if there are no anomalies, or nothing else, or a cost is negative.
    """
    scores = np.asarray(scores, "float64")
    labels = np.asarray(labels)
    if labels.shape != scores.shape or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            "labels must hold one 0 (normal) or 1 (anomaly) per example, shape "
            f"{scores.shape}; received shape {labels.shape}, dtype {labels.dtype}."
        )
    anomalies = labels.astype(bool)
    bad, good = int(anomalies.sum()), int((~anomalies).sum())
    if not bad or not good:
        raise ValueError(
            "best_threshold needs normal examples and anomalies; received "
            f"{good} and {bad}. Without anomalies, choose alpha instead."
        )
    share = bad / len(scores) if prevalence is None else prevalence
    if not (is_number(share) and 0 < share < 1):
        raise ValueError(
            f"prevalence must be a share above 0 and below 1; received {prevalence!r}."
        )
    if not all(is_number(cost) and cost >= 0 for cost in (false_alarm, miss)):
        raise ValueError(
            "false_alarm and miss are costs of at least 0; received "
            f"{false_alarm!r} and {miss!r}."
        )
    ordered = np.unique(scores)  # ascending
    middle = ordered[:-1] + 0.5 * np.diff(ordered)
    cuts = np.concatenate([[ordered[0]], middle, [np.inf]])
    good_scores, bad_scores = np.sort(scores[~anomalies]), np.sort(scores[anomalies])
    alarms = 1.0 - np.searchsorted(good_scores, cuts, side="left") / good
    misses = np.searchsorted(bad_scores, cuts, side="left") / bad
    losses = share * miss * misses + (1.0 - share) * false_alarm * alarms
    best = int(np.argmin(losses))
    return (
        float(cuts[best]),
        float(losses[best]),
        float(alarms[best]),
        float(misses[best]),
    )


def area_under_roc(normal: Any, anomalies: Any) -> float:
    """Computes the probability that an anomaly has a higher score than a normal example.

        AUROC = P(s' > s) + P(s' = s) / 2

    Args:
        normal: (N,) scores.
        anomalies: (M,) scores, higher = more unusual.
    """
    normal = np.sort(np.asarray(normal, "float64"))
    below = np.searchsorted(normal, anomalies, side="left")
    up_to = np.searchsorted(normal, anomalies, side="right")
    return float((below + up_to).mean() / (2 * len(normal)))
