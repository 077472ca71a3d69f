"""The separated attribute predictability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.core.checks import check_seed
from kvae.core.extras import require
from kvae.evaluation.factors import check_factors, split_examples


def separated_attribute_predictability(
    latents: Any,
    factors: Any,
    categorical: Sequence[bool] | None = None,
    seed: int = 0,
) -> float:
    """Scores how much better one latent predicts a factor than any other latent does.

        SAP = mean_f ( score(z_best, f) - score(z_second, f) )

    The score of an ordered factor is the squared correlation with the latent. That of a
    categorical factor is the accuracy of a logistic regression on the latent alone, on
    held-out examples, rescaled so that chance is 0: with plain accuracy, as published,
    chance would keep a perfect representation below 1.

    Args:
        latents: (N, D) representation, at least 2 latents.
        factors: (N, F) integer levels.
        categorical: per factor, whether its levels have no order; none if None.
        seed: of the split into fitting and held-out halves.

    Returns:
        score: from 0 to 1; at 1, each factor has one linear latent.

    Raises:
        ValueError: if the arguments do not fit.
        ImportError: if a factor is categorical and scikit-learn is missing.

    Source: Kumar, Sattigeri, Balakrishnan 2018, arXiv:1711.00848.
    """
    seed = check_seed(seed)
    latents, factors, flags = check_factors(latents, factors, categorical)
    if latents.shape[1] < 2:
        raise ValueError("SAP compares two latents; the representation has one.")
    gaps = []
    for factor, is_categorical in zip(factors.T, flags, strict=True):
        score = _accuracy if is_categorical else _squared_correlation
        scores = sorted(score(column, factor, seed) for column in latents.T)
        gaps.append(scores[-1] - scores[-2])
    return float(np.mean(gaps))


def _squared_correlation(latent: np.ndarray, factor: np.ndarray, seed: int) -> float:
    del seed
    if latent.std() == 0:
        return 0.0
    return float(np.corrcoef(latent, factor)[0, 1] ** 2)


def _accuracy(latent: np.ndarray, factor: np.ndarray, seed: int) -> float:
    linear = require("sklearn.linear_model", "SAP with a categorical factor")
    if latent.std() == 0:
        return 0.0
    latent = ((latent - latent.mean()) / latent.std())[:, None]
    fitted, held_out = split_examples(len(latent), seed)
    model = linear.LogisticRegression(C=100.0, max_iter=1000)
    model.fit(latent[fitted], factor[fitted])
    accuracy = float(model.score(latent[held_out], factor[held_out]))
    chance = np.bincount(factor[held_out]).max() / len(held_out)
    return max(0.0, (accuracy - chance) / (1.0 - chance))
