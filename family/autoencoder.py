"""The autoencoder, and what its variations change."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kvae.core.types import Tensor
from kvae.family.base import Member
from kvae.family.graph import Graph
from kvae.family.steps import cross_entropy, minimize, mlp


class Variation:
    """What a variation of the autoencoder changes: its input, its code, its cost.

    Subclassing guide: override what differs. `words` has `title`, `models`, `cost`, and
    `source` of the variation.
    """

    words = {
        "title": "Autoencoder",
        "models": "a short code from which the picture can be decoded",
        "cost": "-log p(x | decoder(encoder(x)))",
        "source": "Rumelhart, Hinton, Williams 1986",
    }
    units: tuple[int, ...] = (128,)
    nodes: tuple[str, ...] = ("encoder", "[code]")

    def corrupt(self, x: Tensor, seed: Any) -> Tensor:
        """Changes what the encoder is given in training, (B, D)."""
        del seed
        return x

    def code(self, activations: Tensor) -> Tensor:
        """Makes the code of the encoder's last, linear layer, (B, K)."""
        return activations

    def penalty(self, code: Tensor, encoder: Any) -> Tensor:
        """What is added to the cost, a scalar in nats per picture."""
        del code, encoder
        return keras.ops.zeros(())


class Autoencoder(Member):
    """Encoder, code, decoder.

        cost = mean_b [ -sum_d log Bernoulli(x_bd | decoder(code(x_b)))_d ] + penalty

    Args:
        variation: what differs from the plain one.
        code_size: K.
        num_steps: of training.
        batch_size: B.
        learning_rate: of Adam.
        seed: of weights, batches, and noise.
    """

    missing = {
        "sample": "it says nothing about which codes are likely",
        "log_likelihood": "it has no distribution of codes, so none of pictures",
    }

    def __init__(
        self,
        variation: Variation | None = None,
        code_size: int = 16,
        num_steps: int = 3000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.variation = variation or Variation()
        for name, text in self.variation.words.items():
            setattr(self, name, text)
        self.code_size = code_size
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def fit(self, x: Any, y: Any = None) -> Autoencoder:
        """Trains encoder and decoder; y is not used."""
        x = self._start(x)
        units, size = self.variation.units, x.shape[1]
        self.encoder = mlp((size, *units, self.code_size), self.seed)
        self.decoder = mlp(
            (self.code_size, *(units[::-1] or (128,)), size), self.seed + 9
        )
        noise = keras.random.SeedGenerator(self.seed)

        def loss(batch: Tensor, _: Tensor) -> Tensor:
            seen = self.variation.corrupt(batch, noise)
            code = self.variation.code(self.encoder(seen))
            errors = cross_entropy(batch, self.decoder(code))
            return keras.ops.mean(errors) + self.variation.penalty(code, self.encoder)

        variables = self.encoder.trainable_variables + self.decoder.trainable_variables
        minimize(self, loss, variables, x)
        return self

    def encode(self, x: Any) -> np.ndarray:
        """Returns the codes, (N, K)."""
        flat = self._flat(x)
        return np.asarray(self.variation.code(self.encoder(flat)))

    def reconstruct(self, x: Any) -> np.ndarray:
        """Returns what the decoder makes of the codes."""
        codes = self.encode(x)
        logits = self.decoder(codes)
        return self._pictures(keras.ops.sigmoid(logits))

    @property
    def weights(self) -> list[Any]:
        """Of encoder and decoder."""
        return [*self.encoder.weights, *self.decoder.weights]

    def training_graph(self) -> Graph:
        """Of one step."""
        nodes = " -> ".join(self.variation.nodes)
        return Graph(f"[x] -> {nodes} -> decoder -> {{cost}}", "[x] -> {cost}")

    def use_graph(self) -> Graph:
        """Of a reconstruction."""
        code = self.variation.nodes[-1]
        return Graph(f"[x] -> encoder -> {code} -> decoder -> [picture]")
