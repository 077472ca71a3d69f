"""Minus the importance-weighted bound."""

from __future__ import annotations

from typing import Any

from kvae.core.types import Draw, Tensor
from kvae.detection.scores.base import SampledScore, log_mean_exp


class NegativeImportanceBound(SampledScore):
    """Minus the importance-weighted bound on log p(x), in nats.

        score = -log mean_k p(x, z_k) / q(z_k|x),   z_k ~ q(z|x)

    It is closer to -log p(x) than minus the ELBO, and shares its weakness on images.

    Args:
        num_samples: K, latents per example.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519, eq. 8.
    """

    name = "importance_bound"

    def __init__(self, num_samples: int = 64) -> None:
        super().__init__(num_samples)

    def of_draw(self, model: Any, draw: Draw) -> Tensor:
        """Computes minus the bound, (B,) nats."""
        del model
        return -log_mean_exp(draw.log_weights)
