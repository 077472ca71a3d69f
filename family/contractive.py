"""The contractive autoencoder."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_number
from kvae.core.types import Tensor
from kvae.family.autoencoder import Variation


class Contractive(Variation):
    """Penalizes how fast the code changes with the picture.

        penalty = weight * mean_b |d code(x_b) / d x_b|_F^2

    Args:
        weight: of the penalty.

    Source: Rifai et al. 2011, "Contractive auto-encoders", eq. 7; its closed form for a
        sigmoid layer is in section 5.3.
    """

    words = {
        "title": "Contractive autoencoder",
        "models": "a code that changes little with the picture",
        "cost": "-log p(x | decoder(h)) + w * |dh/dx|^2",
        "source": "Rifai et al. 2011",
    }
    units = ()
    nodes = ("encoder", "sigmoid", "[code h]")

    def __init__(self, weight: float = 0.5) -> None:
        self.weight = check_number("weight", weight, 0.0)

    def code(self, activations: Tensor) -> Tensor:
        """A sigmoid layer, whose derivative is in closed form."""
        return keras.ops.sigmoid(activations)

    def penalty(self, code: Tensor, encoder: Any) -> Tensor:
        """The mean contraction of the batch."""
        kernel = encoder.layers[-1].kernel
        return self.weight * keras.ops.mean(contraction(code, kernel))


def contraction(code: Tensor, kernel: Tensor) -> Tensor:
    """Squared Frobenius norm of the Jacobian of h = sigmoid(x W + b).

        |dh/dx|_F^2 = sum_k (h_k (1 - h_k))^2 sum_d W_dk^2

    Args:
        code: (B, K) h.
        kernel: (D, K) W.

    Returns:
        norms: (B,).
    """
    slope = keras.ops.square(code * (1 - code))
    return keras.ops.matmul(slope, keras.ops.sum(keras.ops.square(kernel), axis=0))
