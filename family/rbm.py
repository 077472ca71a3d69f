"""The restricted Boltzmann machine."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.types import Tensor
from kvae.evaluation.result import Estimate
from kvae.family.base import LogLikelihood, Member, read_binary
from kvae.family.graph import Graph
from kvae.family.steps import minimize

_MOST_ENUMERATED = 20


class RBM(Member):
    """Pixels and hidden units that are 0 or 1, joined in pairs.

        p(v, h) = exp(b.v + c.h + v W h) / Z
        F(v) = -b.v - sum_j softplus(c_j + (v W)_j),   log p(v) = -F(v) - log Z

    The gradient of -log p(v) is that of F at the data minus that of F at pictures of the
    model, which k steps of Gibbs sampling make: from the data (contrastive divergence),
    or from where the last step left the chains (persistent).

    Args:
        units: hidden units.
        k: steps of Gibbs sampling per step of training.
        persistent: whether chains are kept from step to step.
        num_steps: of training.
        batch_size: pictures per step, and chains.
        learning_rate: of Adam.
        seed: of weights, batches, and chains.

    Source: Hinton 2002, "Training products of experts"; Tieleman 2008, "Training
        restricted Boltzmann machines"; Salakhutdinov, Murray 2008 (log Z).
    """

    models = "pixels and hidden units that are 0 or 1, by an energy"

    def __init__(
        self,
        units: int = 128,
        k: int = 1,
        persistent: bool = True,
        num_steps: int = 6000,
        batch_size: int = 100,
        learning_rate: float = 2e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.units = check_count("units", units)
        self.k = check_count("k", k)
        self.persistent = persistent
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        start = "the end of a chain" if persistent else "x"
        self.title = f"RBM ({'PCD' if persistent else 'CD'}-{k})"
        steps = "1 Gibbs step" if k == 1 else f"{k} Gibbs steps"
        self.cost = f"F(x) - F(v), where v is {steps} from {start}"
        self.source = "Tieleman 2008" if persistent else "Hinton 2002"
        self.weight: Any = None
        self._log_partition: Estimate | None = None

    def build(self, x: Any) -> np.ndarray:
        """Makes weights for pictures: biases as often as a pixel is 1, small weights."""
        x = self._start(read_binary(x))
        rng = np.random.default_rng(self.seed)
        mean = np.clip(x.mean(0), 0.01, 0.99)
        init = 0.01 * rng.normal(size=(x.shape[1], self.units))
        self.weight = keras.Variable(init.astype("float32"))
        self.visible_bias = keras.Variable(np.log(mean / (1 - mean)).astype("float32"))
        self.hidden_bias = keras.Variable(np.zeros(self.units, "float32"))
        self._log_partition = None
        return x

    def fit(self, x: Any, y: Any = None) -> RBM:
        """Trains by contrastive divergence; y is not used."""
        x = self.build(x)
        noise = keras.random.SeedGenerator(self.seed)
        size = min(self.batch_size, len(x))
        chains = keras.Variable(x[:size], trainable=False)

        def loss(batch: Tensor, _: Tensor) -> Tensor:
            v = chains.value if self.persistent else batch
            for _ in range(self.k):
                v = self._gibbs(v, noise)
            v = tf.stop_gradient(v)
            if self.persistent:
                chains.assign(v)
            gap = keras.ops.mean(self.free_energy(batch) - self.free_energy(v))
            return gap + 2e-4 * keras.ops.sum(keras.ops.square(self.weight))

        minimize(self, loss, self.weights, x)
        return self

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v), (B,), of pixels (B, D)."""
        hidden = keras.ops.matmul(v, self.weight) + self.hidden_bias
        pixels = keras.ops.sum(v * self.visible_bias, axis=-1)
        return -pixels - keras.ops.sum(keras.ops.softplus(hidden), axis=-1)

    def _hidden(self, v: Tensor) -> Tensor:
        return keras.ops.sigmoid(keras.ops.matmul(v, self.weight) + self.hidden_bias)

    def _visible(self, h: Tensor) -> Tensor:
        back = keras.ops.matmul(h, keras.ops.transpose(self.weight))
        return keras.ops.sigmoid(back + self.visible_bias)

    def _gibbs(self, v: Tensor, noise: Any) -> Tensor:
        return draw(self._visible(draw(self._hidden(v), noise)), noise)

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        """Shows the mean pixels of chains that annealing brought to the model's law."""
        self._check_trained()
        _, v = self._anneal(num, 500, seed)
        return self._pictures(self._visible(self._hidden(v.astype("float32"))))

    def encode(self, x: Any) -> np.ndarray:
        """The probabilities of the hidden units, (N, units)."""
        return np.asarray(self._hidden(self._flat(x)))

    def reconstruct(self, x: Any) -> np.ndarray:
        """The mean pixels, given the mean hidden units."""
        return self._pictures(self._visible(self.encode(x)))

    def log_likelihood(self, x: Any, y: Any = None) -> LogLikelihood:
        """-F(x) - log Z, with log Z enumerated if it can be, else estimated by AIS."""
        flat = self._flat(read_binary(x))
        energy = np.asarray(self.free_energy(flat), "float64")
        if min(self.units, flat.shape[1]) <= _MOST_ENUMERATED:
            return LogLikelihood(-energy - self.exact_log_partition(), "exact")
        if self._log_partition is None:
            self._log_partition = self.log_partition(seed=self.seed)
        found = self._log_partition
        how = "exact but for log Z, by AIS"
        return LogLikelihood(-energy - found.value, how, found.standard_error)

    def exact_log_partition(self) -> float:
        """Log Z, by the sum over all states of the smaller side, of at most 20 units.

        Raises:
            ValueError: if both sides have more.
        """
        w, b, c = (np.asarray(value, "float64") for value in self.weights)
        if w.shape[0] < w.shape[1]:
            w, b, c = w.T, c, b
        count = w.shape[1]
        if count > _MOST_ENUMERATED:
            raise ValueError(
                f"log Z is a sum over 2^{count} states; log_partition estimates it."
            )
        parts = []
        for start in range(0, 2**count, 4096):
            index = np.arange(start, min(start + 4096, 2**count))
            h = (index[:, None] >> np.arange(count)) & 1
            terms = h @ c + np.logaddexp(0.0, b + h @ w.T).sum(1)
            parts.append(np.logaddexp.reduce(terms))
        return float(np.logaddexp.reduce(parts))

    def log_partition(
        self, num_chains: int = 100, num_temperatures: int = 2000, seed: int = 0
    ) -> Estimate:
        """Estimates log Z by annealed importance sampling.

        From pixels that are independent with the biases b to the model, through
            p_t(v) ~ exp(b.v + sum_j softplus(t (c_j + (v W)_j))).

        Args:
            num_chains: M, independent ones.
            num_temperatures: from t = 0 to 1.
            seed: of the chains.

        Returns:
            estimate: log Z in nats, its error from the spread of the M weights. Z is
                unbiased, so log Z is too small on average.
        """
        log_weights, _ = self._anneal(num_chains, num_temperatures, seed)
        largest = log_weights.max()
        weights = np.exp(log_weights - largest)
        mean = weights.mean()
        error = weights.std(ddof=1) / (mean * math.sqrt(num_chains))
        return Estimate(float(largest + np.log(mean)), float(error))

    def _anneal(
        self, num: int, num_temperatures: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Runs chains from independent pixels to the model: log weights and pixels."""
        w, b, c = (np.asarray(value, "float64") for value in self.weights)
        rng = np.random.default_rng(seed)

        def visible(logits: np.ndarray) -> np.ndarray:
            return (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))) * 1.0

        v = visible(np.tile(b, (num, 1)))
        found = np.full(num, np.logaddexp(0.0, b).sum() + len(c) * math.log(2.0))
        # Steps grow evenly in t, but are finer near 0, where the law changes fastest.
        steps = np.linspace(0.0, 1.0, num_temperatures) ** 1.5
        for old, new in zip(steps[:-1], steps[1:], strict=True):
            drive = c + v @ w
            found += (np.logaddexp(0, new * drive) - np.logaddexp(0, old * drive)).sum(
                1
            )
            h = visible(new * drive)
            v = visible(b + new * (h @ w.T))
        return found, v

    @property
    def weights(self) -> list[Any]:
        """W, b, and c."""
        return [self.weight, self.visible_bias, self.hidden_bias]

    def training_graph(self) -> Graph:
        """Of one step."""
        start = "[chain]" if self.persistent else "[x]"
        gibbs = f"{start} -> (h) -> (v) -> F(v) -> {{F(x) - F(v)}}"
        return Graph(gibbs, "[x] -> F(x) -> {F(x) - F(v)}")

    def use_graph(self) -> Graph:
        """Of a sample."""
        return Graph("(noise) -> (h at t=0) -> (v at t=0) -> ... -> (h at t=1) -> [v]")


def draw(probabilities: Tensor, noise: Any) -> Tensor:
    """Draws entries that are 1 with these probabilities, and 0 otherwise."""
    u = keras.random.uniform(keras.ops.shape(probabilities), seed=noise)
    return keras.ops.cast(u < probabilities, "float32")
