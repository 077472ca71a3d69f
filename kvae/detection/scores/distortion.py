"""The distortion alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kvae.core.types import Draw, Tensor
from kvae.detection.scores.base import SampledScore


class Distortion(SampledScore):
    """How badly an example is reconstructed, in nats.

        score = -mean_k log p(x|z_k),   z_k ~ q(z|x)

    Args:
        num_samples: K, latents per example.

    Source: Kingma, Welling 2014, arXiv:1312.6114, the first term of eq. 3.
    """

    name = "distortion"

    def of_draw(self, model: Any, draw: Draw) -> Tensor:
        """Computes the distortion, (B,) nats."""
        del model
        return -tf.reduce_mean(draw.log_likelihood, axis=0)
