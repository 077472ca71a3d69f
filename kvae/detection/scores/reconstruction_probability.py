"""Minus the logarithm of the reconstruction probability."""

from __future__ import annotations

from typing import Any

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score, draw_latents, log_mean_exp


class ReconstructionProbability(Score):
    """Minus the log of the mean probability of x under its reconstructions, in nats.

        score = -log mean_k p(x|z_k),   z_k ~ q(z|x)

    The mean is that of probabilities, not of their logarithms: one good reconstruction
    among K is enough. It is never larger than the distortion of the same latents.

    Args:
        num_samples: K, latents per example.

    Source: An, Cho 2015, "Variational autoencoder based anomaly detection using
        reconstruction probability", algorithm 4.
    """

    name = "reconstruction_probability"
    unit = "nats"

    def __init__(self, num_samples: int = 16) -> None:
        super().__init__()
        self.num_samples = check_count("num_samples", num_samples)

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the score, (B,) nats."""
        del fitted
        draw = draw_latents(model, inputs, key, self.num_samples)
        return -log_mean_exp(draw.log_likelihood)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"num_samples": self.num_samples}
