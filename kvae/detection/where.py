"""By how much the entries of an example are more surprising than usual."""

from __future__ import annotations

from typing import Any

import numpy as np

from kvae.core.inputs import Inputs
from kvae.detection.attribution import entry_surprise
from kvae.detection.robust import check_attribution, robust_entry_surprise
from kvae.detection.rows import take

_MOST_ROBUST = 500  # rows that the robust surprise is averaged over


class Where:
    """The surprise of entries, less its mean over normal examples.

    Args:
        vae: a trained `kvae.VAE`.
        method: "posterior" or "robust".
        seed: of the latents.

    Attributes:
        usual: mean nats of each entry, (*data_shape): "expected" with latents from
            q(z|x), and "expected_robust" if the method is robust; empty before `fit`.
    """

    def __init__(self, vae: Any, method: str, seed: int) -> None:
        self.vae = vae
        self.method = check_attribution(vae, method)
        self.seed = seed
        self.usual: dict[str, np.ndarray] = {}

    def fit(self, normal: Inputs) -> None:
        """Finds what is usual for each entry of normal examples."""
        x = normal.to_keras()
        expected = _mean(entry_surprise(self.vae, x, seed=self.seed))
        self.usual = {"expected": expected}
        if self.method == "robust":
            count = len(normal.x)
            rows = np.arange(count)[:: -(-count // _MOST_ROBUST)]
            nats = robust_entry_surprise(
                self.vae, take(normal, rows).to_keras(), expected
            )
            self.usual["expected_robust"] = _mean(nats)

    def above_usual(self, x: Any, batch_size: int) -> np.ndarray:
        """Computes nats above usual, (N, *data_shape), 0 where an entry is missing."""
        expected = self.usual["expected"]
        if self.method == "robust":
            nats = robust_entry_surprise(self.vae, x, expected, batch_size)
            nats = nats - self.usual["expected_robust"]
        else:
            nats = entry_surprise(self.vae, x, seed=self.seed, batch_size=batch_size)
            nats = nats - expected
        mask = self.vae.complete_inputs(x).mask
        return nats if mask is None else np.where(np.asarray(mask, bool), nats, 0.0)


def _mean(surprise: np.ndarray) -> np.ndarray:
    """The mean over examples, without values outside the support."""
    finite = np.isfinite(surprise)
    total = np.where(finite, surprise, 0.0).sum(axis=0, dtype="float64")
    return np.asarray(total / np.maximum(finite.sum(axis=0), 1))
