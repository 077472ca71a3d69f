"""Minus the logarithm of the reconstruction probability."""

from __future__ import annotations

from typing import Any

from kvae.core.types import Draw, Tensor
from kvae.detection.scores.base import SampledScore, log_mean_exp


class ReconstructionProbability(SampledScore):
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

    def of_draw(self, model: Any, draw: Draw) -> Tensor:
        """Computes the score, (B,) nats."""
        del model
        return -log_mean_exp(draw.log_likelihood)
