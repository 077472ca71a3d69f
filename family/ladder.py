"""The ladder network: classes from few labels, and denoising of every layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_sizes
from kvae.core.types import Tensor
from kvae.family.base import Member
from kvae.family.graph import Graph
from kvae.family.steps import LateDecay, minimize

_EPSILON = 1e-6


class LadderNetwork(Member):
    """A classifier whose layers are also cleaned of noise, from the top down.

        encoder: z_l = normalize(h_{l-1} W_l) [+ noise],  h_l = relu(z_l + beta_l)
        decoder: u_l = normalize(zhat_{l+1} V_l),  zhat_l = g(noisy z_l, u_l)
        g(z, u) = (z - m(u)) v(u) + m(u)
        m(u), v(u) = a1 sigmoid(a2 u + a3) + a4 u + a5, for each unit
        cost = -log p(y | noisy x) + sum_l lambda_l mean_units (clean z_l - zhat_l)^2

    zhat_l is normalized with the mean and the deviation of the clean layer. Labeled and
    unlabeled pictures are normalized apart. For use, means and deviations are those of
    all training pictures.

    Args:
        units: of the hidden layers.
        noise: standard deviation of the noise on every layer.
        costs: lambda of the input, of the first hidden layer, and of all others.
        num_steps: of training.
        batch_size: unlabeled pictures per step; labeled ones are all in each step, at
            most 100.
        learning_rate: of Adam; it falls to 0 in the last third of training.
        seed: of weights, batches, and noise.

    Source: Rasmus et al. 2015, arXiv:1507.02672, algorithm 1, eqs. 2 to 4, and table 1.
    """

    title = "Ladder network"
    models = "classes from few labels, and clean layers from noisy ones"
    cost = "-log p(y | noisy x) + sum_l lambda_l |clean z_l - denoised z_l|^2"
    source = "Rasmus et al. 2015"
    labels = "few"
    missing = {
        "sample": "its denoising functions need the noisy layers of a picture",
        "log_likelihood": "it models labels, not pictures",
    }

    def __init__(
        self,
        units: tuple[int, ...] = (128, 64, 32),
        noise: float = 0.3,
        costs: tuple[float, float, float] = (1000.0, 10.0, 0.1),
        num_steps: int = 2000,
        batch_size: int = 100,
        learning_rate: float = 2e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.units = check_sizes("units", units)
        self.noise = noise
        self.costs = costs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self._statistics: list[tuple[Tensor, Tensor]] = []

    def build(self, x: Any, num_classes: int) -> np.ndarray:
        """Makes weights for pictures, and returns them as vectors."""
        x = self._start(x)
        sizes = (x.shape[1], *self.units, num_classes)
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.up = [_kernel(pair, self.seed + i) for i, pair in enumerate(pairs)]
        self.down = [
            _kernel(pair[::-1], self.seed + 50 + i) for i, pair in enumerate(pairs)
        ]
        self.beta = [keras.Variable(np.zeros(size, "float32")) for size in sizes[1:]]
        self.gamma = keras.Variable(np.ones(num_classes, "float32"))
        start = np.array([0, 1, 0, 0, 0, 0, 1, 0, 0, 0], "float32")[:, None]
        self.denoise = [
            keras.Variable(np.tile(start, (1, size)).astype("float32"))
            for size in sizes
        ]
        self._statistics = []
        return x

    def fit(self, x: Any, y: Any = None) -> LadderNetwork:
        """Trains on all pictures, and on the labels that are not -1."""
        if y is None or not (np.asarray(y) >= 0).any():
            raise ValueError(
                "LadderNetwork needs labels; pass y with -1 where a label is unknown."
            )
        y = np.asarray(y)
        x = self.build(x, int(y.max()) + 1)
        known = np.flatnonzero(y >= 0)[:100]
        labeled, targets = tf.constant(x[known]), tf.constant(y[known].astype("int32"))
        random = keras.random.SeedGenerator(self.seed)

        def loss(batch: Tensor, _: Tensor) -> Tensor:
            logits = self.encoder(labeled, random)[0]
            wrong = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            return keras.ops.mean(wrong) + self.denoising_cost(batch, random)

        rate = LateDecay(self.learning_rate, self.num_steps)
        minimize(self, loss, self.weights, x, rate)
        self._statistics = self.encoder(tf.constant(x), None)[2]
        return self

    def encoder(
        self, x: Tensor, random: Any, statistics: Any = None
    ) -> tuple[Tensor, list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Runs the encoder, with noise if `random` is a seed generator.

        Returns:
            logits: (B, classes).
            layers: z of the input and of each layer.
            statistics: mean and deviation of each layer before it was normalized.
        """
        h = self._noisy(x, random)
        layers, found = [h], []
        for i, (kernel, beta) in enumerate(zip(self.up, self.beta, strict=True)):
            before = keras.ops.matmul(h, kernel)
            found.append(statistics[i] if statistics else _moments(before))
            z = self._noisy((before - found[-1][0]) / found[-1][1], random)
            layers.append(z)
            last = i == len(self.up) - 1
            h = self.gamma * (z + beta) if last else keras.ops.relu(z + beta)
        return h, layers, found

    def _noisy(self, value: Tensor, random: Any) -> Tensor:
        if random is None:
            return value
        shape = keras.ops.shape(value)
        return value + self.noise * keras.random.normal(shape, seed=random)

    def decoder(self, logits: Tensor, layers: list[Tensor], whole: Any) -> list[Tensor]:
        """Denoises every layer from the top down; the first is the input's."""
        u = keras.ops.softmax(logits)
        cleaned: list[Tensor] = []
        for i in range(len(layers) - 1, -1, -1):
            if i < len(layers) - 1:
                u = keras.ops.matmul(cleaned[0], self.down[i])
            mean, deviation = _moments(u) if whole is None else whole[i]
            u = (u - mean) / deviation
            cleaned.insert(0, combine(layers[i], u, self.denoise[i]))
        return cleaned

    def denoising_cost(self, x: Tensor, random: Any) -> Tensor:
        """sum_l lambda_l mean (clean z_l - denoised z_l)^2, a scalar."""
        _, clean, statistics = self.encoder(x, None)
        logits, noisy, _ = self.encoder(x, random)
        cleaned = self.decoder(logits, noisy, None)
        total = self.costs[0] * keras.ops.mean(keras.ops.square(clean[0] - cleaned[0]))
        for i, (mean, deviation) in enumerate(statistics, start=1):
            normal = (cleaned[i] - mean) / deviation
            error = keras.ops.mean(keras.ops.square(clean[i] - normal))
            total += self.costs[min(i, 2)] * error
        return total

    def predict(self, x: Any) -> np.ndarray:
        """The most probable class of each picture, (N,)."""
        flat = self._flat(x)
        logits = self.encoder(flat, None, self._statistics)[0]
        return np.asarray(logits).argmax(1)

    def encode(self, x: Any) -> np.ndarray:
        """The last hidden layer without noise, (N, units)."""
        flat = self._flat(x)
        layers = self.encoder(flat, None, self._statistics)[1]
        return np.asarray(keras.ops.relu(layers[-2] + self.beta[-2]))

    def reconstruct(self, x: Any) -> np.ndarray:
        """Denoises pictures that noise was added to, as in training."""
        random = keras.random.SeedGenerator(self.seed)
        flat = tf.constant(self._flat(x))
        logits, layers, _ = self.encoder(flat, random, self._statistics)
        return self._pictures(self.decoder(logits, layers, None)[0])

    @property
    def weights(self) -> list[Any]:
        """Of encoder, decoder, and denoising functions."""
        return [*self.up, *self.down, *self.beta, self.gamma, *self.denoise]

    def training_graph(self) -> Graph:
        """Of one step, with one hidden layer."""
        return Graph(
            "[x] -> (noise) -> (noisy z) -> (noisy y) -> denoise z -> denoise x -> {cost}",
            "(noisy z) -> denoise z",
            "(noise) -> denoise x",
            "[x] -> clean z -> {cost}",
            "(noisy y) -> {cost}",
            "denoise z -> {cost}",
        )

    def use_graph(self) -> Graph:
        """Of a prediction."""
        return Graph("[x] -> z -> [class]")


def combine(z: Tensor, u: Tensor, a: Tensor) -> Tensor:
    """g(z, u) = (z - m(u)) v(u) + m(u), with 10 numbers a (10, units) for each unit."""
    mean = a[0] * keras.ops.sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]
    trust = a[5] * keras.ops.sigmoid(a[6] * u + a[7]) + a[8] * u + a[9]
    return (z - mean) * trust + mean


def _kernel(shape: tuple[int, int], seed: int) -> Any:
    """Makes weights with variance 1 / inputs, as the paper's code does."""
    make = keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal", seed)
    return keras.Variable(make(shape))


def _moments(values: Tensor) -> tuple[Tensor, Tensor]:
    mean, variance = keras.ops.moments(values, axes=0)
    return mean, keras.ops.sqrt(variance + _EPSILON)
