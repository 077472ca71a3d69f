"""The distortion alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score, draw_latents


class Distortion(Score):
    """How badly an example is reconstructed, in nats.

        score = -mean_k log p(x|z_k),   z_k ~ q(z|x)

    Args:
        num_samples: K, latents per example.

    Source: Kingma, Welling 2014, arXiv:1312.6114, the first term of eq. 3.
    """

    name = "distortion"
    unit = "nats"

    def __init__(self, num_samples: int = 16) -> None:
        super().__init__()
        self.num_samples = check_count("num_samples", num_samples)

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes the distortion, (B,) nats."""
        del fitted
        draw = draw_latents(model, inputs, key, self.num_samples)
        return -tf.reduce_mean(draw.log_likelihood, axis=0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"num_samples": self.num_samples}
