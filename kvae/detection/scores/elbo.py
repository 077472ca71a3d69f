"""Minus the ELBO."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.types import Draw, Tensor
from kvae.detection.scores.base import SampledScore


class NegativeELBO(SampledScore):
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

    def of_draw(self, model: Any, draw: Draw) -> Tensor:
        """Computes rate + distortion, (B,) nats."""
        rate = model.objective.rate(model, draw)
        return rate - tf.reduce_mean(draw.log_likelihood, axis=0)
