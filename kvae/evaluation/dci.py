"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.core.checks import check_count, check_seed
from kvae.core.extras import require
from kvae.evaluation.factors import check_factors, split_examples
from kvae.evaluation.result import Result


@dataclasses.dataclass(frozen=True)
class DCIResult(Result):
    """Three views of one table of importances.

    Attributes:
        disentanglement: does a latent serve one factor only? From 0 to 1.
        completeness: is a factor held by one latent only? From 0 to 1.
        informativeness: held-out accuracy (categorical) or R^2 (ordered, at least 0) of
            the factors, mean over factors.
        estimator: what predicts the factors.
        importances: (D, F), of latent d for factor f; each column sums to 1.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    estimator: str
    importances: np.ndarray


def dci(
    latents: Any,
    factors: Any,
    categorical: Sequence[bool] | None = None,
    *,
    num_trees: int = 20,
    seed: int = 0,
) -> DCIResult:
    """Scores a representation by the importances of forests that predict the factors.

        P[d, f] = R[d, f] / sum_f R[d, f],   D_d = 1 - H_F(P[d]),  weighted by sum_f R[d, f]
        Q[d, f] = R[d, f] / sum_d R[d, f],   C_f = 1 - H_D(Q[:, f]), mean over factors

    R is the importance of latent d in a random forest that predicts factor f; entropies
    are to the base F and D.

    Args:
        latents: (N, D) representation, at least 2 latents.
        factors: (N, F) integer levels, at least 2 factors.
        categorical: per factor, whether its levels have no order; none if None.
        num_trees: of each forest.
        seed: of the forests and of the split into fitting and held-out halves.

    Returns:
        result: the three scores and the table.

    Raises:
        ValueError: if the arguments do not fit.
        ImportError: if scikit-learn is missing.

    Source: Eastwood, Williams 2018, "A framework for the quantitative evaluation of
        disentangled representations".
    """
    check_count("num_trees", num_trees)
    seed = check_seed(seed)
    latents, factors, flags = check_factors(latents, factors, categorical)
    if min(latents.shape[1], factors.shape[1]) < 2:
        raise ValueError(
            f"DCI needs at least 2 latents and 2 factors; received {latents.shape[1]} "
            f"and {factors.shape[1]}."
        )
    ensemble = require("sklearn.ensemble", "DCI")
    fitted, held_out = split_examples(len(latents), seed)
    columns, scores = [], []
    for factor, is_categorical in zip(factors.T, flags, strict=True):
        forest = (
            ensemble.RandomForestClassifier
            if is_categorical
            else ensemble.RandomForestRegressor
        )
        # All latents compete at every split: a split that doesn't see the best latent
        # would give importance to latents that know nothing.
        model = forest(num_trees, max_features=None, random_state=seed)
        model.fit(latents[fitted], factor[fitted])
        columns.append(model.feature_importances_)
        scores.append(max(0.0, model.score(latents[held_out], factor[held_out])))
    importances = np.stack(columns, axis=1)
    weight = importances.sum(1)
    return DCIResult(
        disentanglement=float(
            (_one_sided(importances) * weight).sum() / max(weight.sum(), 1e-12)
        ),
        completeness=float(_one_sided(importances.T).mean()),
        informativeness=float(np.mean(scores)),
        estimator=f"random forests of {num_trees} trees, half of the examples held out",
        importances=importances,
    )


def _one_sided(table: np.ndarray) -> np.ndarray:
    # 1 - entropy of each row, to the base of its length; 0 for a row without weight
    total = table.sum(1, keepdims=True)
    share = np.where(
        total > 0, table / np.where(total > 0, total, 1), 1 / table.shape[1]
    )
    logs = np.log(np.where(share > 0, share, 1.0))
    return 1.0 + (share * logs).sum(1) / np.log(table.shape[1])
