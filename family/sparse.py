"""The sparse autoencoders: a penalty on mean activity, or the k largest alone."""

from __future__ import annotations

from typing import Any

import keras

from kvae.core.checks import check_count, check_number
from kvae.core.types import Tensor
from kvae.family.autoencoder import Variation


class KLSparse(Variation):
    """Keeps the mean activity of each unit of the code near a target.

        a_bk = sigmoid(encoder(x_b))_k,   m_k = mean_b a_bk
        penalty = weight * sum_k KL(Bernoulli(target) || Bernoulli(m_k))

    Args:
        target: mean activity of a unit, between 0 and 1.
        weight: of the penalty, nats per picture.

    Source: Ng 2011, "Sparse autoencoder", lecture notes CS294A, section 3.
    """

    words = {
        "title": "Sparse autoencoder (KL)",
        "models": "a code whose units are active for few pictures each",
        "cost": "-log p(x | decoder(a)) + w * sum_k KL(target || mean of a_k)",
        "source": "Ng 2011",
    }
    nodes = ("encoder", "sigmoid", "[code a]")

    def __init__(self, target: float = 0.1, weight: float = 3.0) -> None:
        self.target = check_number("target", target, 0.0)
        self.weight = check_number("weight", weight, 0.0)
        if not 0 < self.target < 1:
            raise ValueError(f"target must be between 0 and 1; received {target!r}.")

    def code(self, activations: Tensor) -> Tensor:
        """Activities from 0 to 1."""
        return keras.ops.sigmoid(activations)

    def penalty(self, code: Tensor, encoder: Any) -> Tensor:
        """The divergence of mean activities from the target."""
        return self.weight * kl_sparsity(code, self.target)


def kl_sparsity(activities: Tensor, target: float) -> Tensor:
    """Sums over units the divergence of their mean activity from a target.

        sum_k [ t log(t / m_k) + (1 - t) log((1 - t) / (1 - m_k)) ],  m_k = mean_b a_bk

    Args:
        activities: (B, K), from 0 to 1.
        target: t, between 0 and 1.

    Returns:
        divergence: scalar, nats.
    """
    mean = keras.ops.clip(keras.ops.mean(activities, axis=0), 1e-6, 1 - 1e-6)
    on = target * keras.ops.log(target / mean)
    off = (1 - target) * keras.ops.log((1 - target) / (1 - mean))
    return keras.ops.sum(on + off)


class KSparse(Variation):
    """Keeps the k largest entries of a linear code, and sets the others to 0.

    Args:
        k: how many are kept.

    Source: Makhzani, Frey 2014, arXiv:1312.5663, algorithm 1.
    """

    words = {
        "title": "Sparse autoencoder (k largest)",
        "models": "a code of which k entries are not 0",
        "cost": "-log p(x | decoder(k largest of encoder(x)))",
        "source": "Makhzani, Frey 2014",
    }
    units = ()
    nodes = ("encoder", "k largest", "[code]")

    def __init__(self, k: int = 12) -> None:
        self.k = check_count("k", k)

    def code(self, activations: Tensor) -> Tensor:
        """The k largest entries; gradients flow to them alone."""
        return k_largest(activations, self.k)


def k_largest(values: Tensor, k: int) -> Tensor:
    """Keeps the k largest entries of each row (B, K), and sets the others to 0."""
    least = keras.ops.top_k(values, k)[0][:, -1:]
    return keras.ops.where(values >= least, values, keras.ops.zeros_like(values))
