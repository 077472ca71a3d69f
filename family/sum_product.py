"""The sum-product network: a density that is exact, however deep it is."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from kvae.core.checks import check_count
from kvae.core.types import Tensor
from kvae.family.base import LogLikelihood, Member, read_binary
from kvae.family.graph import Graph
from kvae.family.steps import minimize


class SumProductNetwork(Member):
    """Mixtures of products of mixtures, down to single pixels, over random halves.

    Each of R repetitions splits the pixels at random into halves, `depth` times. A part
    of the last split has K products of Bernoullis; two halves make K^2 products, which K
    sums mix; the root mixes what the repetitions say of all pixels. Every sum is over
    parts with the same pixels and every product over parts without common pixels, so the
    root is p(x), and it sums to one.

    Args:
        num_sums: K.
        repetitions: R.
        depth: splits; 2^depth parts.
        num_steps: of training.
        batch_size: pictures per step.
        learning_rate: of Adam.
        seed: of splits, weights, and batches.

    Source: Poon, Domingos 2011, "Sum-product networks"; Peharz et al. 2019,
        arXiv:1806.01910, section 3 (random structure, training by gradients).
    """

    title = "Sum-product network"
    models = "a mixture of products of mixtures, exactly normalized"
    cost = "-log p(x), exact"
    source = "Poon, Domingos 2011; Peharz et al. 2019"
    missing = {
        "encode": "its latents are the choices of all its sums, not one code",
        "reconstruct": "it has no code",
    }

    def __init__(
        self,
        num_sums: int = 8,
        repetitions: int = 16,
        depth: int = 3,
        num_steps: int = 1500,
        batch_size: int = 100,
        learning_rate: float = 2e-2,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.num_sums = check_count("num_sums", num_sums)
        self.repetitions = check_count("repetitions", repetitions)
        self.depth = check_count("depth", depth)
        self.batch_size = batch_size
        self.learning_rate = learning_rate

    def build(self, x: Any) -> np.ndarray:
        """Draws splits and weights for pictures, and returns them as vectors."""
        x = self._start(read_binary(x))
        size, parts, sums = x.shape[1], 2**self.depth, self.num_sums
        if size < parts:
            raise ValueError(f"{size} pixels can't be split {self.depth} times.")
        rng = np.random.default_rng(self.seed)
        each = math.ceil(size / parts)
        # A place without a pixel holds the number of pixels, whose log p is 0.
        order = np.full((self.repetitions, parts * each), size)
        for row in order:
            places = np.arange(parts * each).reshape(parts, each).T.ravel()[:size]
            row[places] = rng.permutation(size)
        self.order = order.reshape(self.repetitions, parts, each)
        mean = np.clip(x.mean(0), 0.02, 0.98)
        logits = np.append(np.log(mean / (1 - mean)), 0.0)[self.order]
        self.usual = logits[..., None].astype("float32")
        noise = rng.normal(size=(*self.order.shape, sums)).astype("float32")
        self.leaves = keras.Variable(self.usual + noise)
        self.mixtures = [
            keras.Variable(
                (0.3 * rng.normal(size=self._mixture_shape(level))).astype("float32")
            )
            for level in range(self.depth)
        ]
        self.root = keras.Variable(np.zeros(self.repetitions * sums, "float32"))
        return x

    def _mixture_shape(self, level: int) -> tuple[int, int, int, int]:
        parts = 2 ** (self.depth - 1 - level)
        return self.repetitions, parts, self.num_sums**2, self.num_sums

    def fit(self, x: Any, y: Any = None) -> SumProductNetwork:
        """Minimizes -log p(x) by gradients; y is not used."""
        x = self.build(x)

        def loss(batch: Tensor, _: Tensor) -> Tensor:
            # Pulls leaves toward the mean pixel a little: few pictures fill many leaves.
            away = keras.ops.square(self.leaves - self.usual)
            prior = 0.02 * keras.ops.mean(away) * x.shape[1]
            return prior - keras.ops.mean(self.log_prob(batch))

        minimize(self, loss, self.weights, x)
        return self

    def log_prob(self, x: Tensor) -> Tensor:
        """Log p(x), (B,) nats, of pixels (B, D) that are 0 or 1."""
        ops = keras.ops
        padded = ops.pad(ops.convert_to_tensor(x), ((0, 0), (0, 1)))
        shape = (-1, *self.order.shape)
        pixels = ops.reshape(ops.take(padded, self.order.ravel(), axis=1), shape)
        known = (self.order < padded.shape[1] - 1).astype("float32")[..., None]
        # log Bernoulli = x logit - softplus(logit), summed over the pixels of a part.
        on = ops.einsum("brpe,rpek->brpk", pixels, self.leaves * known)
        value = on - ops.sum(ops.softplus(self.leaves) * known, axis=2)
        for mixture in self.mixtures:
            left, right = value[:, :, 0::2], value[:, :, 1::2]
            pairs = left[..., :, None] + right[..., None, :]
            pairs = ops.reshape(pairs, (-1, *mixture.shape[:3]))
            value = _mix(pairs, ops.softmax(mixture, axis=2))
        whole = ops.reshape(value, (-1, self.root.shape[0]))
        return ops.logsumexp(whole + ops.log_softmax(self.root), axis=-1)

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        """Draws the choices of all sums from the root down, and shows the mean pixels."""
        self._check_trained()
        rng = np.random.default_rng(seed)
        rows = np.arange(num)
        chosen = _choose(rng, np.tile(_softmax(np.asarray(self.root)), (num, 1)))
        repetition, component = np.divmod(chosen, self.num_sums)
        components = component[:, None]
        for mixture in reversed(self.mixtures):
            weights = _softmax(np.asarray(mixture), axis=2)
            part = np.arange(weights.shape[1])
            chances = weights[repetition[:, None], part, :, components]
            pair = _choose(rng, chances)
            halves = np.stack(np.divmod(pair, self.num_sums), axis=2)
            components = halves.reshape(num, -1)
        part = np.arange(components.shape[1])
        leaves = np.asarray(self.leaves)[repetition[:, None], part, :, components]
        order = self.order[repetition].reshape(num, -1)
        pixels = np.zeros((num, int(np.prod(self.data_shape)) + 1))
        pixels[rows[:, None], order] = 1 / (1 + np.exp(-leaves.reshape(num, -1)))
        return self._pictures(pixels[:, :-1])

    def log_likelihood(self, x: Any, y: Any = None) -> LogLikelihood:
        """The exact log p(x)."""
        flat = self._flat(read_binary(x))
        pieces = [self.log_prob(flat[i : i + 256]) for i in range(0, len(flat), 256)]
        return LogLikelihood(np.concatenate(pieces).astype("float64"), "exact")

    @property
    def weights(self) -> list[Any]:
        """Of leaves, mixtures, and root."""
        return [self.leaves, *self.mixtures, self.root]

    def training_graph(self) -> Graph:
        """Of one step."""
        return Graph("[x] -> leaves -> products -> sums -> ... -> root -> {-log p(x)}")

    def use_graph(self) -> Graph:
        """Of a sample."""
        return Graph("(root) -> (sums) -> ... -> (leaves) -> [picture]")


def _mix(log_values: Tensor, weights: Tensor) -> Tensor:
    """Log sum_i w_ik exp(value_i): (B, R, P, I) and (R, P, I, K) give (B, R, P, K)."""
    ops = keras.ops
    largest = ops.stop_gradient(ops.max(log_values, axis=-1, keepdims=True))
    mixed = ops.einsum("brpi,rpik->brpk", ops.exp(log_values - largest), weights)
    return largest + ops.log(mixed + 1e-30)


def _softmax(values: np.ndarray, axis: int = -1) -> np.ndarray:
    shifted = np.exp(values - values.max(axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis, keepdims=True))


def _choose(rng: Any, chances: np.ndarray) -> np.ndarray:
    """Draws an index along the last axis of probabilities."""
    totals = chances.cumsum(-1)
    u = rng.random((*chances.shape[:-1], 1)) * totals[..., -1:]
    return np.minimum((u > totals).sum(-1), chances.shape[-1] - 1)
