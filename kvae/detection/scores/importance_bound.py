"""Minus the importance-weighted bound."""

from __future__ import annotations

from typing import Any

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score, draw_latents, log_mean_exp


class NegativeImportanceBound(Score):
    """Minus the importance-weighted bound on log p(x), in nats.

        score = -log mean_k p(x, z_k) / q(z_k|x),   z_k ~ q(z|x)

    It is closer to -log p(x) than minus the ELBO, and shares its weakness on images.

    Args:
        num_samples: K, latents per example.

    Source: Burda, Grosse, Salakhutdinov 2016, arXiv:1509.00519, eq. 8.
    """

    name = "importance_bound"
    unit = "nats"

    def __init__(self, num_samples: int = 64) -> None:
        super().__init__()
        self.num_samples = check_count("num_samples", num_samples)

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes minus the bound, (B,) nats."""
        del fitted
        draw = draw_latents(model, inputs, key, self.num_samples)
        return -log_mean_exp(draw.log_weights)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"num_samples": self.num_samples}
