"""The VAE and the conditional VAE of kvae, with the methods of the family."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import kvae
from kvae import evaluation, likelihoods, networks
from kvae.family.base import LogLikelihood, Member, read_binary
from kvae.family.graph import Graph


class VariationalAutoencoder(Member):
    """`kvae.VAE` with a Bernoulli likelihood.

    Args:
        conditional: whether p(x|z, y) and q(z|x, y) are given the label.
        code_size: D, dimensions of z.
        units: of the hidden layers of both networks.
        num_steps: of training.
        batch_size: pictures per step.
        learning_rate: of Adam.
        num_samples: K latents per picture for log p(x).
        seed: of weights, batches, and noise.

    Source: Kingma, Welling 2014, arXiv:1312.6114; Sohn et al. 2015 (conditional).
    """

    def __init__(
        self,
        conditional: bool = False,
        code_size: int = 16,
        units: tuple[int, ...] = (256,),
        num_steps: int = 4000,
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        num_samples: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__(num_steps, seed)
        self.conditional = conditional
        self.code_size = code_size
        self.units = units
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.num_samples = num_samples
        given = ", y" if conditional else ""
        self.title = "Conditional VAE" if conditional else "VAE"
        self.models = f"p(x|z{given}) with a latent z, and q(z|x{given}) to infer it"
        self.cost = f"-E_q log p(x|z{given}) + KL(q(z|x{given}) || p(z))"
        self.source = "Sohn et al. 2015" if conditional else "Kingma, Welling 2014"
        self.labels = "all" if conditional else "none"
        self.vae: Any = None

    def fit(self, x: Any, y: Any = None) -> VariationalAutoencoder:
        """Trains by the ELBO; y are the labels of a conditional model."""
        x = read_binary(x)
        self._start(x)
        if self.conditional and y is None:
            raise ValueError("a conditional VAE needs labels; pass y.")
        labels = np.asarray(y, "int32") if self.conditional else None
        self.num_classes = int(labels.max()) + 1 if labels is not None else 0
        label: dict[str, Any] = {}
        if labels is not None:
            label = {"condition_shape": (), "classes": self.num_classes}
        self.vae = kvae.VAE.for_data(
            x,
            self.code_size,
            condition=labels,
            likelihood=likelihoods.Bernoulli(self.data_shape),
            encoder=networks.mlp(self.data_shape, self.units, **label),
            decoder=networks.mlp(
                (self.code_size,), self.units[::-1], role="decoder", **label
            ),
            seed=self.seed,
        )
        rate = keras.optimizers.schedules.CosineDecay(
            self.learning_rate, self.num_steps
        )
        self.vae.compile(optimizer=keras.optimizers.Adam(rate))
        per_epoch = -(-len(x) // self.batch_size)
        epochs = max(1, self.num_steps // per_epoch)
        self.vae.fit(
            self._inputs(x, labels),
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=0,
        )
        return self

    def _inputs(self, x: Any, y: Any) -> Any:
        x = np.asarray(x, "float32")
        if not self.conditional:
            return x
        if y is None:  # for codes of pictures whose label is not known: the model's own
            y = self._likely_labels(x)
        return {"x": x, "condition": np.asarray(y, "int32")}

    def _likely_labels(self, x: np.ndarray) -> np.ndarray:
        """The label under which the ELBO of each picture is largest."""
        scores = [
            self.vae.elbo({"x": x, "condition": np.full(len(x), label, "int32")})
            for label in range(self.num_classes)
        ]
        return np.argmax(scores, axis=0)

    def sample(self, num: int, seed: int = 0) -> np.ndarray:
        """The mean of p(x|z), z from the prior; labels in turn if conditional."""
        self._check_trained()
        labels = np.arange(num) % self.num_classes if self.conditional else None
        return np.asarray(self.vae.sample(num, seed=seed, condition=labels))

    def encode(self, x: Any) -> np.ndarray:
        """The mean of q(z|x), (N, D)."""
        self._flat(x)
        return np.asarray(self.vae.embed(self._inputs(x, None)))

    def reconstruct(self, x: Any) -> np.ndarray:
        """The mean of p(x|z) at the mean of q(z|x)."""
        self._flat(x)
        return np.asarray(self.vae.reconstruct(self._inputs(x, None)))

    def log_likelihood(self, x: Any, y: Any = None) -> LogLikelihood:
        """The importance-weighted estimate of log p(x), or of log p(x|y)."""
        self._flat(read_binary(x))
        if self.conditional and y is None:
            raise ValueError("log p(x|y) needs labels; pass y.")
        found = evaluation.log_likelihood(
            self.vae, self._inputs(x, y), self.num_samples, seed=self.seed
        )
        given = ", given the label" if self.conditional else ""
        how = f"importance sampling, {self.num_samples} latents{given}"
        return LogLikelihood(found.per_example, how, found.monte_carlo_error)

    @property
    def weights(self) -> list[Any]:
        """Of the whole model."""
        return list(self.vae.trainable_variables)

    def training_graph(self) -> Graph:
        """Of one step."""
        chains = [
            "[x] -> encoder -> mean, scale -> (z) -> decoder -> {distortion}",
            "mean, scale -> {rate}",
            "[x] -> {distortion}",
        ]
        if self.conditional:
            chains += ["[y] -> encoder", "[y] -> decoder"]
        return Graph(*chains)

    def use_graph(self) -> Graph:
        """Of a sample."""
        chains = ["(z) -> decoder -> [picture]"]
        return Graph(*chains, *(["[y] -> decoder"] if self.conditional else []))
