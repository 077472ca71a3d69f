"""Minus the ELBO."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.inputs import Inputs
from kvae.core.types import Tensor
from kvae.detection.scores.base import Score, draw_latents


class NegativeELBO(Score):
    """Minus the evidence lower bound on log p(x), in nats.

        score = rate + distortion

    Models of images often give simpler images from elsewhere a higher likelihood than
    their own, so that a high ELBO does not mean that an example is usual.

    Args:
        num_samples: K, latents per example.

    Source: Kingma, Welling 2014, arXiv:1312.6114, eq. 3; its failure: Nalisnick et al.
        2019, arXiv:1810.09136.
    """

    name = "elbo"
    unit = "nats"

    def __init__(self, num_samples: int = 16) -> None:
        super().__init__()
        self.num_samples = check_count("num_samples", num_samples)

    def compute(
        self, model: Any, inputs: Inputs, key: Tensor, fitted: dict[str, Tensor]
    ) -> Tensor:
        """Computes rate + distortion, (B,) nats."""
        del fitted
        draw = draw_latents(model, inputs, key, self.num_samples)
        rate = model.objective.rate(model, draw)
        return rate - tf.reduce_mean(draw.log_likelihood, axis=0)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"num_samples": self.num_samples}
