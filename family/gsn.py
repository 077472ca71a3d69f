"""The generative stochastic network."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kvae.core.checks import check_count
from kvae.core.types import Tensor
from kvae.family.base import Member
from kvae.family.graph import Graph
from kvae.family.rbm import draw
from kvae.family.steps import cross_entropy, minimize


class GSN(Member):
    """A chain that corrupts a picture and draws a likely original, over and over.

    One step, with salt-and-pepper noise on x and normal noise around each tanh:
        h1 = tanh(corrupt(x) W1 + h2 W2^T + noise) + noise
        h2 = tanh(h1 W2 + noise) + noise
        p  = sigmoid(h1 W1^T),  x ~ Bernoulli(p)
    In training the chain starts at a picture and takes `walkback` steps, each of which
    pays -log p(picture). Samples are the chain's stationary law.

    Args:
        units: of h1 and h2.
        corruption: share of the pixels that are set to 0 or 1 at random.
        noise: standard deviation of the normal noise.
        walkback: steps of the chain in training.
        num_steps: of training.
        batch_size: pictures per step.
        learning_rate: of Adam.
        seed: of weights, batches, and noise.

    Source: Bengio, Laufer, Alain, Yosinski 2014, arXiv:1306.1091, section 4 and figure 3.
    """

    title = "GSN"
    models = "a step of a chain whose stationary law is p(x)"
    cost = "sum over walkback steps of -log p(x | h after the step)"
    source = "Bengio et al. 2014"
    missing = {"log_likelihood": "the stationary law of its chain has no formula"}

    def __init__(
        self,
        units: tuple[int, int] = (256, 128),
        corruption: float = 0.2,
        noise: float = 0.3,
        walkback: int = 5,
        num_steps: int = 4000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.units = units
        self.corruption = corruption
        self.noise = noise
        self.walkback = check_count("walkback", walkback)
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def build(self, x: Any) -> np.ndarray:
        """Makes weights for pictures, and returns them as vectors."""
        x = self._start(x)
        sizes = (x.shape[1], *self.units)
        make = keras.initializers.GlorotUniform
        self.kernels = [
            keras.Variable(make(self.seed + i)((sizes[i], sizes[i + 1])))
            for i in range(2)
        ]
        self.biases = [keras.Variable(np.zeros(size, "float32")) for size in sizes]
        self.mean = x.mean(0)
        return x

    def fit(self, x: Any, y: Any = None) -> GSN:
        """Trains by walkback; y is not used."""
        x = self.build(x)
        random = keras.random.SeedGenerator(self.seed)

        def loss(batch: Tensor, _: Tensor) -> Tensor:
            return keras.ops.mean(self.walkback_cost(batch, random))

        minimize(self, loss, self.weights, x)
        return self

    def walkback_cost(self, x: Tensor, random: Any) -> Tensor:
        """Sums -log p(x) over the steps of a chain that starts at x, (B,) nats."""
        state, upper, total = x, self._rest(x), 0.0
        for _ in range(self.walkback):
            logits, upper = self.step(state, upper, random)
            total += cross_entropy(x, logits)
            state = tf.stop_gradient(draw(keras.ops.sigmoid(logits), random))
        return total / self.walkback

    def step(self, x: Tensor, upper: Tensor, random: Any) -> tuple[Tensor, Tensor]:
        """Takes one step of the chain: logits of the next pixels, and the next h2."""
        shape = keras.ops.shape(x)
        flipped = keras.random.uniform(shape, seed=random) < self.corruption
        coin = keras.ops.cast(keras.random.uniform(shape, seed=random) < 0.5, "float32")
        seen = keras.ops.where(flipped, coin, x)
        first, second = self.kernels
        below, middle, above = self.biases
        down = keras.ops.matmul(upper, keras.ops.transpose(second))
        lower = self._noisy_tanh(keras.ops.matmul(seen, first) + down + middle, random)
        upper = self._noisy_tanh(keras.ops.matmul(lower, second) + above, random)
        return keras.ops.matmul(lower, keras.ops.transpose(first)) + below, upper

    def _noisy_tanh(self, before: Tensor, random: Any) -> Tensor:
        shape = keras.ops.shape(before)
        one, other = (
            self.noise * keras.random.normal(shape, seed=random) for _ in range(2)
        )
        return keras.ops.tanh(before + one) + other

    def _rest(self, x: Tensor) -> Tensor:
        return keras.ops.zeros((keras.ops.shape(x)[0], self.units[1]))

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        """Runs `num` chains of 200 steps, and shows the last p.

        They start at independent pixels, each as often 1 as in training.
        """
        self._check_trained()
        random = keras.random.SeedGenerator(seed)
        start = draw(np.tile(self.mean, (num, 1)), random)
        return self._pictures(self._run(tf.foldl, start, 200, random))

    def chain(self, x: Any, num_steps: int, random: Any) -> np.ndarray:
        """Runs chains and returns the probabilities of pixels of every step.

        Args:
            x: (N, D) where they start.
            num_steps: T.
            random: a seed generator of Keras.

        Returns:
            steps: (T, N, D).
        """
        return self._run(tf.scan, x, num_steps, random)

    def _run(self, loop: Any, x: Any, num_steps: int, random: Any) -> np.ndarray:
        """Runs chains; `tf.scan` keeps every step, `tf.foldl` only the last."""
        start = tf.convert_to_tensor(x)

        @tf.function(autograph=False)
        def run() -> Tensor:
            def one(before: Any, _: Tensor) -> Any:
                state, upper, _ = before
                logits, upper = self.step(state, upper, random)
                p = keras.ops.sigmoid(logits)
                return draw(p, random), upper, p

            begin = (start, self._rest(start), start)
            return loop(one, tf.range(num_steps), begin)[2]

        return np.asarray(run())

    def encode(self, x: Any) -> np.ndarray:
        """h1 without noise, (N, units of h1)."""
        flat = self._flat(x)
        before = keras.ops.matmul(flat, self.kernels[0]) + self.biases[1]
        return np.asarray(keras.ops.tanh(before))

    def reconstruct(self, x: Any) -> np.ndarray:
        """One step of the chain without noise."""
        codes = self.encode(x)
        first, _ = self.kernels
        back = keras.ops.matmul(codes, keras.ops.transpose(first))
        return self._pictures(keras.ops.sigmoid(back + self.biases[0]))

    @property
    def weights(self) -> list[Any]:
        """W1, W2, and the biases."""
        return [*self.kernels, *self.biases]

    def training_graph(self) -> Graph:
        """Of two steps of walkback."""
        return Graph(
            "[x] -> (corrupt) -> (h) -> decoder -> (x 1) -> (corrupt 1) -> (h 1) -> "
            "decoder 1 -> {cost}",
            "decoder -> {cost}",
            "[x] -> {cost}",
        )

    def use_graph(self) -> Graph:
        """Of a sample."""
        return Graph(
            "(noise) -> (corrupt) -> (h) -> decoder -> (x 1) -> ... -> [x 200]"
        )
