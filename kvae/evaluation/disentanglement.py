"""All disentanglement scores of one representation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from kvae.evaluation.dci import dci
from kvae.evaluation.encodings import encodings
from kvae.evaluation.factor_vae_score import factor_vae_score
from kvae.evaluation.mig import mutual_information_gap
from kvae.evaluation.result import Result
from kvae.evaluation.sap import separated_attribute_predictability


@dataclasses.dataclass(frozen=True)
class DisentanglementResult(Result):
    """Scores from 0 to 1; at 1, each factor has one latent.

    Attributes:
        mig: mutual information gap.
        sap: separated attribute predictability.
        dci_disentanglement: does a latent serve one factor only?
        dci_completeness: is a factor held by one latent only?
        dci_informativeness: can the factors be predicted at all?
        factor_vae: accuracy of the fixed-factor vote; 1/F by chance.
        num_examples: N.
        latent_dim: D.
        num_factors: F.
        estimator: what was scored.
        importances: (D, F), the table behind DCI.
    """

    mig: float
    sap: float
    dci_disentanglement: float
    dci_completeness: float
    dci_informativeness: float
    factor_vae: float
    num_examples: int
    latent_dim: int
    num_factors: int
    estimator: str
    importances: np.ndarray


def disentanglement(
    vae: Any,
    x: Any,
    factors: Any,
    categorical: Sequence[bool] | None = None,
    *,
    seed: int = 0,
) -> DisentanglementResult:
    """Scores the posterior means of a model on data whose factors are known.

    Args:
        vae: a `kvae.VAE`, or None if x is the representation itself, (N, D).
        x: (N, *data_shape), for example `factor_shapes().x`.
        factors: (N, F) integer levels.
        categorical: per factor, whether its levels have no order; none if None.
        seed: of votes, forests and held-out halves.

    Returns:
        result: MIG, SAP, DCI and the FactorVAE score.

    Raises:
        ValueError: if the data do not fit.
        ImportError: if scikit-learn is missing.
    """
    latents = np.asarray(x) if vae is None else encodings(vae, x, seed).mean
    # As in latent_usage; the scale of x itself is not known.
    least = 0.0 if vae is None else 0.01 * vae.prior.unit_variance
    table = dci(latents, factors, categorical, seed=seed)
    factors = np.asarray(factors)
    return DisentanglementResult(
        mig=mutual_information_gap(latents, factors),
        sap=separated_attribute_predictability(latents, factors, categorical, seed),
        dci_disentanglement=table.disentanglement,
        dci_completeness=table.completeness,
        dci_informativeness=table.informativeness,
        factor_vae=factor_vae_score(latents, factors, min_variance=least, seed=seed),
        num_examples=len(latents),
        latent_dim=latents.shape[1],
        num_factors=factors.shape[1],
        estimator="representation given" if vae is None else "posterior means",
        importances=table.importances,
    )
