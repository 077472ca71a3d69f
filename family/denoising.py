"""The denoising autoencoder."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_number
from kvae.core.types import Tensor
from kvae.family.autoencoder import Variation


class Denoising(Variation):
    """Hides pixels from the encoder, and asks for all of them.

        cost = -log p(x | decoder(encoder(m * x))),  m_d ~ Bernoulli(1 - hidden)

    Args:
        hidden: share of the pixels that are set to 0.

    Source: Vincent et al. 2008, "Extracting and composing robust features with denoising
        autoencoders", section 2.3.
    """

    words = {
        "title": "Denoising autoencoder",
        "models": "the picture, given a copy with pixels hidden",
        "cost": "-log p(x | decoder(encoder(x with hidden pixels)))",
        "source": "Vincent et al. 2008",
    }
    nodes = ("(hide pixels)", "encoder", "[code]")

    def __init__(self, hidden: float = 0.3) -> None:
        self.hidden = check_number("hidden", hidden, 0.0)

    def corrupt(self, x: Tensor, seed: Any) -> Tensor:
        """Sets pixels to 0."""
        shown = keras.random.uniform(keras.ops.shape(x), seed=seed) >= self.hidden
        return x * keras.ops.cast(shown, x.dtype)
