"""Scores by name, and the one that suits a model."""

from __future__ import annotations

from typing import Any

from kvae.core.errors import nearest
from kvae.detection.scores.background_ratio import BackgroundRatio
from kvae.detection.scores.base import Score
from kvae.detection.scores.combined import Combined
from kvae.detection.scores.complexity_ratio import ComplexityRatio
from kvae.detection.scores.distortion import Distortion
from kvae.detection.scores.elbo import NegativeELBO
from kvae.detection.scores.importance_bound import NegativeImportanceBound
from kvae.detection.scores.latent_distance import LatentDistance
from kvae.detection.scores.likelihood_regret import LikelihoodRegret
from kvae.detection.scores.local_outlier_factor import LocalOutlierFactor
from kvae.detection.scores.neighbor_distance import NeighborDistance
from kvae.detection.scores.reconstruction_error import ReconstructionError
from kvae.detection.scores.reconstruction_probability import ReconstructionProbability

SCORES: dict[str, type[Score]] = {
    score.name: score
    for score in (
        NegativeELBO,
        NegativeImportanceBound,
        Distortion,
        ReconstructionProbability,
        ReconstructionError,
        LikelihoodRegret,
        ComplexityRatio,
        BackgroundRatio,
        LatentDistance,
        NeighborDistance,
        LocalOutlierFactor,
        Combined,
    )
}
"""The scores by their names."""


def make_score(score: Any, **options: Any) -> Score:
    """Makes a score from its name.

    Args:
        score: a name of `SCORES`, or an instance, which is returned.
        **options: arguments of the score.

    Raises:
        ValueError: if there is no such score.
    """
    if isinstance(score, Score):
        return score
    if not isinstance(score, str):
        raise ValueError(
            f"score must be a name or an instance of a Score; received {score!r}."
        )
    if score not in SCORES:
        raise ValueError(
            f'score must be "auto" or one of {", ".join(SCORES)}; received {score!r}. '
            f"{nearest(score, SCORES)}"
        )
    if score == Combined.name:
        parts = options.get("scores") or []
        return Combined([make_score(name, **config) for name, config in parts])
    return SCORES[score](**options)


def choose_score(vae: Any) -> tuple[Score, str]:
    """Chooses a score that suits a model, and says why.

    Pictures get the reconstruction error, the ratio to their complexity, and the distance
    to neighbors; other data minus the ELBO and the distance. The ELBO alone is left out
    for pictures, because it can be high for simple ones from elsewhere.
    benchmarks/anomalies.py measures all of them.

    Args:
        vae: a `kvae.VAE`.

    Returns:
        score: not fitted.
        reason: in words.
    """
    if is_picture(vae):
        scores = [ReconstructionError(), ComplexityRatio(), NeighborDistance()]
        return Combined(scores), "because examples are pictures"
    return Combined([NegativeELBO(), NeighborDistance()]), (
        "because examples are not pictures"
    )


def is_picture(vae: Any) -> bool:
    """Returns whether a model takes pictures, and neither vectors nor series."""
    shape = vae.data_shape
    if vae.data_kind is not None:
        return bool(vae.data_kind == "images")
    if len(shape) == 3:
        return True
    # Series have their steps first, which differ from their features in number.
    return len(shape) == 2 and min(shape) >= 8 and max(shape) <= 2 * min(shape)
