"""The ratio to a background model."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.checks import check_vae
from kvae.detection.scores.elbo import NegativeELBO


class BackgroundRatio(NegativeELBO):
    """The ELBO of a background model, less the ELBO of the model, in nats.

        score = ELBO_background(x) - ELBO(x)

    The background model learns what all data of this kind have in common, for example
    from training data of which some entries were replaced by random values, and the
    ratio keeps what is special about the normal data.

    Args:
        background: a `kvae.VAE` of the same data shape and a likelihood of the same kind.
        num_samples: K, latents per example of both bounds.

    Source: Ren et al. 2019, arXiv:1906.02845, eq. 5.
    """

    name = "background_ratio"
    in_tensors = False  # one graph holds one model

    def __init__(self, background: Any, num_samples: int = 16) -> None:
        super().__init__(num_samples)
        check_vae(background)
        self.background = background

    def __call__(
        self, vae: Any, x: Any, seed: int = 0, batch_size: int = 128
    ) -> np.ndarray:
        """Scores arrays, (N,) nats."""
        if vae.likelihood.continuous != self.background.likelihood.continuous:
            raise ValueError(
                "one of the two models gives a density of x and the other a probability, "
                "so their ELBOs can't be compared. Use likelihoods of one kind."
            )
        own = super().__call__(vae, x, seed, batch_size)
        return own - super().__call__(self.background, x, seed, batch_size)

    def models(self) -> dict[str, Any]:
        """Returns the background model."""
        return {"background": self.background}
